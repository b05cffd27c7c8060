#!/usr/bin/env python3
"""Loads what `convogen export` wrote with the libraries people use and checks that all see the same rows.

    python -m venv VENV && VENV/bin/pip install -r tests/readers/requirements.txt
    VENV/bin/python tests/readers/read_exports.py FOLDER...

A FOLDER holds one form, as `convogen export` writes it, or is a dataset with a folder `exports`. pandas, polars and `datasets`
must find the same rows in Parquet and in JSON Lines, without a null at any depth; roles must take turns, from user to
assistant; upstream's tab-separated cells must hold what its JSON Lines hold. Exits with 1 and a message at the first difference.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

# Set before `datasets` is imported: nothing here may ask the hub.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"

import datasets
import pandas
import polars

UPSTREAM = ["meetingID", "speakerMap", "Conversation", "situation_config"]
ROLES = {"human": "user", "gpt": "assistant"}


class Difference(Exception):
    """What is not as it should be."""


def check(condition, message):
    if not condition:
        raise Difference(message)


def no_nulls(value, where):
    check(value is not None, f"{where} is null")
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        no_nulls(item, f"{where}.{key}")


def plain(value):
    """pandas gives lists as arrays and numbers as its own."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def same(found, expected, where):
    check(len(found) == len(expected), f"{where}: {len(found)} rows in place of {len(expected)}")
    for at, (row, truth) in enumerate(zip(found, expected)):
        check(row == truth, f"{where}: row {at} is {row}, not {truth}")


def turns_taken(messages, where):
    roles = [ROLES.get(role, role) for role in (message.get("role", message.get("from")) for message in messages)]
    if roles and roles[0] == "system":
        roles = roles[1:]
    check(roles, f"{where}: no messages")
    check(roles == ["user", "assistant"] * (len(roles) // 2), f"{where}: roles {roles}")


def chat(rows, where):
    for row in rows:
        messages = row.get("messages", row.get("conversations"))
        if messages is None and "prompt" in row:
            messages = row["prompt"] + row["completion"]
        if messages is not None:
            turns_taken(messages, f"{where}: {row.get('id')}")


def upstream_parts(folder, split):
    rows = []
    parts = sorted((folder / split).glob("part-*.jsonl"), key=lambda path: int(path.stem[5:]))
    check(parts, f"{folder}: no parts of {split}")
    for path in parts:
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
        cells = pandas.read_csv(path.with_suffix(".tsv"), sep="\t")
        check(list(cells.columns) == UPSTREAM, f"{path}: columns {list(cells.columns)}")
        read = [{k: v if k == "meetingID" else json.loads(v) for k, v in row.items()} for row in cells.to_dict("records")]
        same(read, records, f"pandas {path.with_suffix('.tsv')}")
        rows += [{k: v if k == "meetingID" else json.dumps(v, ensure_ascii=False, separators=(",", ":")) for k, v in r.items()}
                 for r in records]
    return rows


def read_table(folder, loaded, cache):
    files = sorted(folder.glob("*-00000-of-00001.parquet"))
    count = 0
    for path in files:
        split, where = path.name.split("-")[0], f"{folder}/{path.name}"
        lines = folder / f"{split}.jsonl"
        if lines.exists():
            rows = [json.loads(line) for line in lines.read_text(encoding="utf-8").split("\n")[:-1]]
            same(datasets.load_dataset("json", data_files=str(lines), split="train", cache_dir=cache).to_list(), rows, f"datasets {lines}")
            same(polars.read_ndjson(lines).to_dicts(), rows, f"polars {lines}")
            same(plain(pandas.read_json(lines, lines=True, dtype=False, convert_dates=False).to_dict("records")), rows, f"pandas {lines}")
        else:
            rows = upstream_parts(folder, split)
        no_nulls(rows, where)
        chat(rows, where)
        same(polars.read_parquet(path).to_dicts(), rows, f"polars {where}")
        same(plain(pandas.read_parquet(path).to_dict("records")), rows, f"pandas {where}")
        same(loaded[split].to_list(), rows, f"datasets {where}")
        count += len(rows)
    check(set(loaded) == {path.name.split("-")[0] for path in files}, f"datasets {folder}: splits {sorted(loaded)}")
    return count


def corpus(folder):
    read = lambda name: json.loads((folder / name).read_text(encoding="utf-8"))
    speakers, talks = read("speakers.json"), read("conversations.json")
    utterances = [json.loads(line) for line in (folder / "utterances.jsonl").read_text(encoding="utf-8").split("\n")[:-1]]
    for utterance in utterances:
        check(utterance["speaker"] in speakers, f"{folder}: nobody is {utterance['speaker']}")
    roots = [utterance["id"] for utterance in utterances if utterance["reply-to"] is None]
    check(roots == list(talks), f"{folder}: roots {roots[:3]} and conversations {list(talks)[:3]}")
    return len(utterances)


def main(arguments):
    if not arguments:
        sys.exit(f"usage: {sys.argv[0]} FOLDER...")
    try:
        for folder in (Path(argument).resolve() for argument in arguments):
            exports = sorted((folder / "exports").glob("*")) if (folder / "exports").is_dir() else [folder]
            for export in exports:
                with tempfile.TemporaryDirectory() as cache:
                    if (export / "utterances.jsonl").exists():
                        count = corpus(export)
                    else:
                        name = [] if export == folder else [export.name]
                        count = read_table(export, datasets.load_dataset(str(folder), *name, cache_dir=cache), cache)
                print(f"{export}: {count} rows agree")
    except Difference as difference:
        sys.exit(str(difference))


if __name__ == "__main__":
    main(sys.argv[1:])
