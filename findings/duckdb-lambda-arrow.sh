#!/usr/bin/env bash
# DuckDB 2.0.1 refuses the arrow of a lambda, and points from JSON with the same sign still work.
#
# `list_filter(turns, t -> t.words > 3)`, as written for every DuckDB 1.x, is a binder error that names a setting; the form that
# works is `lambda t: t.words > 3`. The JSON operator `->>` is not touched by it. Queries over lists of turns have to be rewritten.
#
# Seen on 2026-11-28:
#   arrow: BinderException
#   lambda: [5]
#   JSON: 1
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
try:
    duckdb.sql("select list_filter([1, 5], n -> n > 3)").fetchall()
    arrow = "no error"
except duckdb.Error as error:
    arrow = type(error).__name__
[(new,)] = duckdb.sql("select list_filter([1, 5], lambda n: n > 3)").fetchall()
[(text,)] = duckdb.sql("""select '{"a": 1}' ->> 'a'""").fetchall()
print(f"arrow: {arrow}\nlambda: {new}\nJSON: {text}")
assert (arrow, new, text) == ("BinderException", [5], "1")
PY
