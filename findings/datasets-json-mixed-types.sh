#!/usr/bin/env bash
# datasets 5.2.0 no longer refuses a JSON column of mixed types: it becomes a type of its own, `Json`.
#
# A column that holds a number in one row and a text (or an object) in another ended with an error in datasets 2 to 4. Now both
# values come back as they were written, by the feature `Json`. It does not help where the types differ *between* the blocks of
# 10 MiB in which a file is read: a column that is null or empty in the whole first block still ends in an error.
#
# Seen on 2026-11-28:
#   one block: Json(decode=True), [1, 'a', {'b': 2}]
#   two blocks: DatasetGenerationError
#
# Exits 0 if it is so, 1 if it has changed. Needs Python 3.11 with pip; installs into a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --only-binary :all: datasets==5.2.0

HF_HUB_OFFLINE=1 HF_HOME="$work" venv/bin/python - <<'PY'
import json, datasets
from datasets import load_dataset
datasets.disable_progress_bars()

def write(path, rows):
    with open(path, "w") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)
    return path

one = load_dataset("json", data_files=write("one.jsonl", [{"v": 1}, {"v": "a"}, {"v": {"b": 2}}]), split="train")
print(f"one block: {one.features['v']}, {one['v'][:]}")
text = "x" * 1000
late = write("two.jsonl", [{"v": [], "t": text}] * 30_000 + [{"v": [{"b": 2}], "t": text}])
try:
    load_dataset("json", data_files=late, split="train")
    two = "no error"
except Exception as error:
    two = type(error).__name__
print(f"two blocks: {two}")
assert type(one.features["v"]).__name__ == "Json" and one["v"][:] == [1, "a", {"b": 2}], one.features
assert two == "DatasetGenerationError", two
PY
