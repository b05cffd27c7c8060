#!/usr/bin/env bash
# DuckDB 2.0.1 reads a value that comes late in a JSON Lines file as NULL, without a word.
#
# The type of a column is taken from the first 20,480 lines. Where a key was null in all of them, the type is "NULL" (one might
# expect JSON, or an error at the line that does not fit): a text that stands further down is read as NULL, no error is raised,
# and a count of the column says 0. With `sample_size = -1`, or the type stated by `columns`, the value is there.
#
# Seen on 2026-11-28:
#   late: type "NULL", value None, count 0
#   whole file sampled: type VARCHAR, value Ann, count 1
#
# Exits 0 if it is so, 1 if it has changed. Needs Python 3.11 with pip; installs into a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --only-binary :all: duckdb==2.0.1

HF_HUB_OFFLINE=1 HF_HOME="$work" venv/bin/python - <<'PY'
import json, duckdb
with open("rows.jsonl", "w") as out:
    for number in range(30_000):
        out.write(json.dumps({"id": number, "addressee": "Ann" if number == 29_999 else None}) + "\n")

def look(options):
    source = f"read_json('rows.jsonl'{options})"
    [(kind, value)] = duckdb.sql(f"select typeof(addressee), addressee from {source} where id = 29999").fetchall()
    [(count,)] = duckdb.sql(f"select count(addressee) from {source}").fetchall()
    return kind, value, count

late, whole = look(""), look(", sample_size = -1")
print("late: type {}, value {}, count {}".format(*late))
print("whole file sampled: type {}, value {}, count {}".format(*whole))
assert late == ('"NULL"', None, 0), late
assert whole == ("VARCHAR", "Ann", 1), whole
PY
