#!/usr/bin/env bash
# polars 2.1.0 drops a row whose list is empty from `explode`; pandas 3.1.1 keeps it.
#
# polars 1.x kept such a row with a null, as pandas does. With 2.x a conversation without turns is gone after `explode("turns")`,
# so that counts of conversations taken behind it are too small; `empty_as_null=True` brings the old rows back.
#
# Seen on 2026-11-28:
#   polars: ['b', 'b'], with empty_as_null: ['a', 'b', 'b']
#   pandas: ['a', 'b', 'b']
#
# Exits 0 if it is so, 1 if it has changed. Needs Python 3.11 with pip; installs into a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --only-binary :all: polars==2.1.0 pandas==3.1.1

HF_HUB_OFFLINE=1 HF_HOME="$work" venv/bin/python - <<'PY'
import pandas, polars
rows = {"id": ["a", "b"], "turns": [[], ["hello", "bye"]]}
plain = polars.DataFrame(rows).explode("turns")["id"].to_list()
kept = polars.DataFrame(rows).explode("turns", empty_as_null=True)["id"].to_list()
other = pandas.DataFrame(rows).explode("turns")["id"].tolist()
print(f"polars: {plain}, with empty_as_null: {kept}\npandas: {other}")
assert plain == ["b", "b"] and kept == other == ["a", "b", "b"]
PY
