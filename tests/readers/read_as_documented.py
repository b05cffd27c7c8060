#!/usr/bin/env python3
"""Runs the code of docs/reading.md on a dataset and compares the rows it reads with the JSON Lines files.

    VENV/bin/pip install -r tests/readers/requirements.txt
    VENV/bin/python tests/readers/read_as_documented.py local FOLDER
    AZURE_STORAGE_CONNECTION_STRING=... VENV/bin/python tests/readers/read_as_documented.py published CONTAINER DATASET TABLE ROWS

A block whose reader is not installed is named and skipped. Needs no network but that of the blob service. Exits with 1 and a message at
the first block that fails or finds other rows.
"""

import json
import os
import re
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"

PAGE = Path(__file__).parents[2] / "docs" / "reading.md"
SECTIONS = {"local": "On this machine", "published": "Published in Azure"}


def blocks(section):
    text = PAGE.read_text(encoding="utf-8").split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def local(folder):
    # `datasets` takes a relative path for the name of a dataset on the hub.
    folder = Path(folder).resolve()
    rows = {path.stem.split("-")[-1]: path.read_text(encoding="utf-8").splitlines() for path in folder.glob("jsonl/conversations-*.jsonl")}
    every = [json.loads(line) for lines in rows.values() for line in lines]
    turns = sum(len(row["turns"]) for row in every)
    # A block reads what its first words say: a split, all rows, or all turns.
    expected = {"datasets": {len(rows["train"])}, "DuckDB": {turns}}
    return {"FOLDER": str(folder)}, expected, {len(every)}, turns, every


def run(kind, names, expected, everything, turns):
    ran = 0
    for block in blocks(SECTIONS[kind]):
        title = re.match(r"# ([\w ]+)", block)[1].split(" ")[0]
        names.pop("rows", None)
        names.pop("turns", None)
        try:
            exec(compile(block, f"{PAGE}: {title}", "exec"), names)
        except ModuleNotFoundError as missing:
            print(f"{title}: {missing.name} is not installed, skipped")
            continue
        if "rows" in names:
            found = len(names["rows"])
            if found not in expected.get(title, everything):
                sys.exit(f"{title}: {found} rows, {expected.get(title, everything)} in the JSON Lines files\n{block}")
            ran += 1
        if "turns" in names and len(names["turns"]) != turns:
            sys.exit(f"{title}: {len(names['turns'])} turns, {turns} in the JSON Lines files\n{block}")
    print(f"{kind}: {ran} ways of reading found the same rows")


def check_croissant(names, every):
    """Nested turns come as they are, by Croissant's names."""
    if "dataset" not in names:
        return
    plain = lambda value: value.decode() if isinstance(value, bytes) else value
    found = {plain(row["conversations/id"]): row for row in names["dataset"].records("conversations")}
    for row in every:
        turns = [{key.rsplit("/", 1)[1]: plain(value) for key, value in turn.items()} for turn in found[row["id"]]["conversations/turns"]]
        if turns != row["turns"]:
            sys.exit(f"mlcroissant: {row['id']}: {turns[:1]} is not {row['turns'][:1]}")


def main(arguments):
    with tempfile.TemporaryDirectory() as cache:
        os.environ["HF_HOME"] = cache
        os.environ["CROISSANT_CACHE"] = cache
        match arguments:
            case ["local", folder]:
                names, expected, everything, turns, every = local(folder)
                run("local", names, expected, everything, turns)
                check_croissant(names, every)
            case ["published", container, dataset, table, rows]:
                names = {"CONTAINER": container, "DATASET": dataset, "TABLE": table}
                run("published", names, {}, {int(rows)}, 0)
            case _:
                sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
