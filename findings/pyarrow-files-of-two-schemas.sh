#!/usr/bin/env bash
# pyarrow 26.0.1 reads Parquet files of two schemas by the first, and drops what only the second has.
#
# `read_table([first, second])` neither fails nor widens: a column that only the second file has is gone, a column that it lacks is
# null, and a field that it lacks *inside* a list of objects is null as well. datasets and polars refuse the same pair; DuckDB does
# so unless `union_by_name` is set. Files merged from two versions of a program lose a column that way, silently.
#
# Seen on 2026-11-28:
#   pyarrow: [{'id': 'a', 'turns': [{'s': 'x', 'n': 1}]}, {'id': 'b', 'turns': [{'s': 'y', 'n': None}]}]
#   polars: SchemaError
#
# Exits 0 if it is so, 1 if it has changed. Needs Python 3.11 with pip; installs into a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --only-binary :all: pyarrow==26.0.1 polars==2.1.0

HF_HUB_OFFLINE=1 HF_HOME="$work" venv/bin/python - <<'PY'
import polars, pyarrow, pyarrow.parquet as parquet
parquet.write_table(pyarrow.table({"id": ["a"], "turns": [[{"s": "x", "n": 1}]]}), "1.parquet")
parquet.write_table(pyarrow.table({"id": ["b"], "turns": [[{"s": "y"}]], "split": ["test"]}), "2.parquet")
rows = parquet.read_table(["1.parquet", "2.parquet"]).to_pylist()
try:
    polars.read_parquet(["1.parquet", "2.parquet"])
    other = "no error"
except polars.exceptions.PolarsError as error:
    other = type(error).__name__
print(f"pyarrow: {rows}\npolars: {other}")
assert rows == [{"id": "a", "turns": [{"s": "x", "n": 1}]}, {"id": "b", "turns": [{"s": "y", "n": None}]}], rows
assert other == "SchemaError", other
PY
