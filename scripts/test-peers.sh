#!/usr/bin/env bash
# Runs convogen against real servers that speak the OpenAI protocol: llama.cpp's with the embedded model's own weights, alone
# and behind a LiteLLM proxy, and that proxy before an upstream that fails. Then has mlcroissant read a dataset, the join of `dedup`
# run on Spark, which needs Java, and trainers load what `convogen export` writes.
# Usage: scripts/test-peers.sh [WORD]...     only the checks whose names hold every WORD
# Needs Rust and Python 3.11 or later with pip. CONVOGEN names a program to check in place of the one in this tree. The
# servers are installed once, into the target folder, so that `cargo clean` takes them too: about 1.8 GB, and 13 GB for the
# trainers, nearly all of it torch's libraries for GPUs, which are not used, in two versions.
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

# Makes an environment, unless it is there with these requirements; further packages come without what they depend on.
environment() {
    local venv=$1 requirements=$2
    shift 2
    cmp -s "$requirements" "$venv/requirements.txt" && return
    rm -rf "$venv"
    python3 -m venv "$venv"
    # None of them is built here: that takes longer than all of the checks. Two come as source alone, which needs no building.
    "$venv/bin/pip" install --quiet --only-binary :all: --no-binary pyspark,jsonpath-rw --requirement "$requirements"
    [ "$#" = 0 ] || "$venv/bin/pip" install --quiet --no-deps "$@"
    cp "$requirements" "$venv/requirements.txt"
}
export PEERS_WORK="$target/peers/work"
export PYTHONDONTWRITEBYTECODE=1

failed=0
environment "$target/peers/venv" tests/peers/requirements.txt
for checks in litellm_proxy llama_servers readers dedup_engines; do
    "$target/peers/venv/bin/python" "tests/peers/$checks.py" "$@" || failed=1
done
# Of these three, single modules are used; what they depend on wants a GPU.
environment "$target/peers/trainers" tests/peers/requirements-trainers.txt llamafactory==0.9.5 axolotl==0.19.0 convokit==5.0.0
# The command of LLaMA-Factory needs what that depends on, in versions of its own.
environment "$target/peers/llamafactory" tests/peers/requirements-llamafactory.txt
export PEERS_LLAMAFACTORY="$target/peers/llamafactory/bin/llamafactory-cli"
"$target/peers/trainers/bin/python" tests/peers/trainers.py "$@" || failed=1
exit "$failed"
