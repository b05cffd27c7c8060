#!/usr/bin/env python3
"""Loads a compiled dataset folder with the libraries people use and checks that all see the same rows.

    python -m venv VENV && VENV/bin/pip install -r tests/readers/requirements.txt
    VENV/bin/python tests/readers/read_dataset.py FOLDER

The truth is `manifest.json` and the JSON Lines files. pyarrow, DuckDB, polars and `datasets` must find the same tables,
splits, columns and values in the Parquet files, nested ones included. Those that are not installed are named and
skipped (so that an environment with `datasets` 3.6 alone does), except pyarrow. Needs no network. Exits with 1 and a
message at the first difference.
"""

import hashlib
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path

# Set before `datasets` is imported: nothing here may ask the hub, and no cache may outlive the check.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"

HOMES = {"conversations": "data", "situations": "situations", "personas": "personas"}
CONVERSATION_COLUMNS = [
    "id", "situation_id", "situation", "topic", "conversation_starter", "language", "relations", "participants",
    "turns", "stop_reason", "model", "tier", "prompt_tokens", "cached_prompt_tokens", "completion_tokens",
    "attributes", "provenance", "labels", "safety", "judgement",
]


class Difference(Exception):
    """What two views of the dataset disagree on."""


def check(condition, message):
    if not condition:
        raise Difference(message)


def read_jsonl(path):
    text = path.read_text(encoding="utf-8")
    if not text:
        return []  # a split without rows has its file all the same
    check(text.endswith("\n"), f"{path}: the last line is not ended")
    return [json.loads(line) for line in text[:-1].split("\n")]


def same_keys(rows, where):
    """Every object of a kind has the same keys in the same order, at every depth."""
    objects = [row for row in rows if isinstance(row, dict)]
    for row in objects:
        check(list(row) == list(objects[0]), f"{where}: {list(row)} and {list(objects[0])} stand in one file")
    for key in objects[0] if objects else []:
        items = [item for row in objects if isinstance(row[key], list) for item in row[key]]
        same_keys(items, f"{where}: {key}")


def first_difference(found, expected):
    """The innermost pair that differs, so that a message stays readable."""
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        pairs = enumerate(zip(found, expected))
    elif isinstance(found, dict) and isinstance(expected, dict) and set(found) == set(expected):
        pairs = ((key, (found[key], expected[key])) for key in expected)
    else:
        return f"{found!r} is not {expected!r}"
    return next(f"{key}: {first_difference(*pair)}" for key, pair in pairs if pair[0] != pair[1])


def compare(found, expected, where):
    check(len(found) == len(expected), f"{where}: {len(found)} rows, {len(expected)} in the JSON Lines file")
    for at, (row, truth) in enumerate(zip(found, expected)):
        check(set(row) == set(truth), f"{where}: columns {sorted(row)}, keys {sorted(truth)}")
        for key, value in truth.items():
            if row[key] != value:
                raise Difference(f"{where}: row {at}, {key}: {first_difference(row[key], value)}")


def check_manifest(folder, manifest):
    listed = {entry["path"] for entry in manifest["files"]}
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {"manifest.json"}
    check(listed == present, f"manifest.json and the folder differ in {sorted(listed ^ present)}")
    for entry in manifest["files"]:
        data = (folder / entry["path"]).read_bytes()
        check(len(data) == entry["bytes"], f"{entry['path']}: {len(data)} bytes, {entry['bytes']} in the manifest")
        check(hashlib.sha256(data).hexdigest() == entry["sha256"], f"{entry['path']}: SHA-256 differs from the manifest")


def expected_rows(folder, manifest):
    """Rows by table and split, from the JSON Lines files."""
    tables = {}
    for table, splits in manifest["rows"].items():
        for split, count in splits.items():
            path = folder / "jsonl" / f"{table}-{split}.jsonl"
            rows = read_jsonl(path)
            check(len(rows) == count, f"{path}: {len(rows)} rows, {count} in the manifest")
            check(all(row["split"] == split for row in rows), f"{path}: a row of another split")
            ids = [row["id"] for row in rows]
            check(ids == sorted(set(ids)), f"{path}: ids repeat or are out of order")
            same_keys(rows, path)
            tables.setdefault(table, {})[split] = rows
    return tables


def shards(folder, table, split):
    found = sorted((folder / HOMES[table]).glob(f"{split}-*-of-*.parquet"))
    names = [f"{split}-{at:05}-of-{len(found):05}.parquet" for at in range(len(found))]
    check([path.name for path in found] == names, f"{table}: shards {[path.name for path in found]}")
    return found


def with_pyarrow(folder, tables):
    import pyarrow as pa
    import pyarrow.parquet as pq

    for table, splits in tables.items():
        schemas = []
        for split, rows in splits.items():
            files = shards(folder, table, split)
            schemas += [pq.read_schema(path) for path in files]
            compare(pa.concat_tables(pq.read_table(path) for path in files).to_pylist(), rows, f"pyarrow {table}/{split}")
        for schema in schemas:
            check(schema.equals(schemas[0], check_metadata=True), f"{table}: shards differ in their schema")
        if table == "conversations":
            names = schemas[0].names
            check(names[: len(CONVERSATION_COLUMNS)] == CONVERSATION_COLUMNS, f"conversations: columns {names}")
            turn = schemas[0].field("turns").type
            check(turn.value_field.name == "element", f"turns: {turn}")
            check(turn.value_type.field("index").type == pa.int32(), f"turns.index: {turn}")
        check(b"huggingface" in (schemas[0].metadata or {}), f"{table}: no features in the metadata")


def with_duckdb(folder, tables):
    import duckdb

    for table, splits in tables.items():
        for split, rows in splits.items():
            files = [str(path) for path in shards(folder, table, split)]
            cursor = duckdb.execute("SELECT * FROM read_parquet($files) ORDER BY id", {"files": files})
            names = [column[0] for column in cursor.description]
            compare([dict(zip(names, row)) for row in cursor.fetchall()], rows, f"duckdb {table}/{split}")
    if "conversations" in tables:
        files = str(folder / "data" / "*.parquet")
        query = "SELECT count(*) FROM (SELECT unnest(turns) FROM read_parquet($files))"
        found = duckdb.execute(query, {"files": files}).fetchone()[0]
        turns = sum(len(row["turns"]) for rows in tables["conversations"].values() for row in rows)
        check(found == turns, f"duckdb: {found} turns, {turns} in the JSON Lines files")


def with_polars(folder, tables):
    import polars

    for table, splits in tables.items():
        for split, rows in splits.items():
            frame = polars.read_parquet(shards(folder, table, split))
            compare(frame.to_dicts(), rows, f"polars {table}/{split}")


def with_datasets(folder, tables):
    import datasets

    with tempfile.TemporaryDirectory() as cache:
        for name, splits in tables.items():
            # It loads no table that is said to have a split without rows, so the card says nothing of one.
            splits = {split: rows for split, rows in splits.items() if rows}
            loaded = datasets.load_dataset(str(folder), name, cache_dir=cache)
            check(set(loaded) == set(splits), f"datasets {name}: splits {sorted(loaded)}")
            for split, rows in splits.items():
                compare(loaded[split].to_list(), rows, f"datasets {name}/{split}")
                # The file by itself, without the card, has the same types.
                files = [str(path) for path in shards(folder, name, split)]
                alone = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=cache)
                for column, feature in loaded[split].features.items():
                    found = alone.features.get(column)
                    check(found == feature, f"datasets {name}/{split}: {column} is {feature} by the card, {found} by the file")
        default = datasets.load_dataset(str(folder), cache_dir=cache)
        first = next(name for name in HOMES if name in tables)
        found = {split: rows.num_rows for split, rows in default.items()}
        expected = {split: len(rows) for split, rows in tables[first].items() if rows}
        check(found == expected, f"datasets: what loads by default has {found} rows, {first} has {expected}")


READERS = {"pyarrow": with_pyarrow, "duckdb": with_duckdb, "polars": with_polars, "datasets": with_datasets}


def main(arguments):
    if len(arguments) != 1:
        sys.exit(f"usage: {sys.argv[0]} FOLDER")
    # `datasets` takes a relative path for the name of a dataset on the hub.
    folder = Path(arguments[0]).resolve()
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        check_manifest(folder, manifest)
        tables = expected_rows(folder, manifest)
        check(tables, "the manifest names no table")
        for name, read in READERS.items():
            if name != "pyarrow" and importlib.util.find_spec(name) is None:
                print(f"{name}: not installed, skipped")
                continue
            read(folder, tables)
            print(f"{name}: {sum(len(rows) for splits in tables.values() for rows in splits.values())} rows agree")
    except Difference as difference:
        sys.exit(f"{folder}: {difference}")


if __name__ == "__main__":
    main(sys.argv[1:])
