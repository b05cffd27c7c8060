#!/usr/bin/env bash
# Measures what the README and docs say of speed and memory, each figure beside a baseline from the same run.
#
#     scripts/bench.sh [SECTION]...      all sections, or some of: basics, report, page, endpoint, engine, limits, scale,
#                                        embedded, dedup, upload, compile, parts, tokens, quality
#
# RUNS=5 by default; prints medians and ranges. The sections engine and limits measure SECONDS=60 at a time. LARGE=1 adds 100,000
# conversations to the section scale; COUNTS=20000,200000 are those of the section parts. RECORDS=1000000 is the size of the
# corpus of the section dedup, which needs 16 GB and half an hour a run then (TOOLS=rensa compares with that alone); MB=1024 the
# input of the section compile. AUTOGEN=PYTHON adds AutoGen's rows to the section tokens. The section page needs Chromium and
# tests/page/requirements.txt; it measures PAGE_TURNS=1000000. SAVE=FOLDER keeps the runs of the section quality, which measures
# talk and not time. Needs Python; makes a release build.
# `scripts/bench.sh build` measures a release build from nothing instead.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = build ]; then exec scripts/bench-build.sh; fi
cargo build --features bench --locked --release --quiet --bin convogen --example scripted-endpoint --example fast-endpoint --example replay --example null-blob --example count-tokens
target=$(cargo metadata --locked --format-version 1 --no-deps | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
export CONVOGEN="$target/release/convogen" EXAMPLES="$target/release/examples" READER="$target/readers/bin/python"
export PYTHONDONTWRITEBYTECODE=1
python="$target/page/bin/python"
[ -x "$python" ] || python=python3
exec "$python" scripts/bench "$@"
