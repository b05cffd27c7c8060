#!/usr/bin/env bash
# Runs convogen against real servers that speak the OpenAI protocol: llama.cpp's with the embedded model's own weights, alone
# and behind a LiteLLM proxy, and that proxy before an upstream that fails. The join of `dedup` runs on Spark, which needs Java.
# Usage: scripts/test-peers.sh [WORD]...     only the checks whose names hold every WORD
# Needs Rust and Python 3.11 or later with pip. CONVOGEN names a program to check in place of the one in this tree. The
# servers are installed once, into the target folder, so that `cargo clean` takes them too: about 1.4 GB.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(cargo metadata --locked --format-version 1 --no-deps | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')

if [ -z "${CONVOGEN:-}" ]; then
    cargo build --locked --quiet
    CONVOGEN="$target/debug/convogen"
fi
export CONVOGEN
"$CONVOGEN" model pull
PEERS_WEIGHTS=$("$CONVOGEN" model path)
export PEERS_WEIGHTS

venv="$target/peers/venv"
if ! cmp -s tests/peers/requirements.txt "$venv/requirements.txt"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    # None of them is built here: that takes longer than all of the checks. Spark comes as source that needs no building.
    "$venv/bin/pip" install --quiet --only-binary :all: --no-binary pyspark --requirement tests/peers/requirements.txt
    cp tests/peers/requirements.txt "$venv/requirements.txt"
fi
export PEERS_WORK="$target/peers/work"
export PYTHONDONTWRITEBYTECODE=1

failed=0
for checks in litellm_proxy llama_servers dedup_engines; do
    "$venv/bin/python" "tests/peers/$checks.py" "$@" || failed=1
done
exit "$failed"
