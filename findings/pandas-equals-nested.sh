#!/usr/bin/env bash
# pandas 3.1.1 says that two reads of one nested Parquet file differ.
#
# `DataFrame.equals` is False for a frame and its own second reading as soon as a column holds lists of objects that hold lists
# (they come back as NumPy arrays within dicts within arrays); with plain lists of objects it is True. `drop_duplicates` does not
# work on either. To compare two datasets, compare the Arrow tables.
#
# Seen on 2026-11-28:
#   flat: True, list of objects: True, lists within them: False
#   pyarrow: True
#
# Exits 0 if it is so, 1 if it has changed. Needs Python 3.11 with pip; installs into a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --only-binary :all: pandas==3.1.1 pyarrow==26.0.1

HF_HUB_OFFLINE=1 HF_HOME="$work" venv/bin/python - <<'PY'
import pandas, pyarrow, pyarrow.parquet as parquet
def equal(name, column):
    parquet.write_table(pyarrow.table({"turns": column}), name)
    return pandas.read_parquet(name).equals(pandas.read_parquet(name))
flat = equal("flat.parquet", ["a", "b"])
objects = equal("objects.parquet", [[{"s": "x"}, {"s": "y"}], []])
deep = equal("deep.parquet", [[{"s": "x", "flags": ["p", "q"]}], []])
arrow = parquet.read_table("deep.parquet").equals(parquet.read_table("deep.parquet"))
print(f"flat: {flat}, list of objects: {objects}, lists within them: {deep}\npyarrow: {arrow}")
assert (flat, objects, deep, arrow) == (True, True, False, True)
PY
