#!/usr/bin/env bash
# A relation of DuckDB 2.0.1 for Python keeps no result: `fetchone` is gone, and each `fetchall` runs the query once more.
#
# `duckdb.sql(...)` was fetched from row by row. Now it has no `fetchone`, and fetching twice runs the query twice: two calls over
# `random()` or over a file that grows differ. A connection's `execute(...)` still returns a result that is read once.
#
# Seen on 2026-11-28:
#   relation: AttributeError, two fetches equal: False
#   execute: (0,), then [(1,), (2,)]
#
# Exits 0 if it is so, 1 if it has changed. Needs Python 3.11 with pip; installs into a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --only-binary :all: duckdb==2.0.1

HF_HUB_OFFLINE=1 HF_HOME="$work" venv/bin/python - <<'PY'
import duckdb
relation = duckdb.sql("select random() as r from range(3)")
try:
    relation.fetchone()
    one = "no error"
except AttributeError as error:
    one = type(error).__name__
equal = relation.fetchall() == relation.fetchall()
result = duckdb.connect().execute("select * from range(3)")
first, rest = result.fetchone(), result.fetchall()
print(f"relation: {one}, two fetches equal: {equal}\nexecute: {first}, then {rest}")
assert one == "AttributeError" and not equal and first == (0,) and rest == [(1,), (2,)], (one, equal, first, rest)
PY
