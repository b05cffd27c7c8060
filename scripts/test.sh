#!/usr/bin/env bash
# Everything a change has to pass, with whatever that needs fetched here: formatting, lints, documentation, the tests.
# Needs Rust, Python with pip, and Node.js with npm; the embedded model's weights, the dataset readers and Azurite are
# fetched once and kept.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"
# Incremental compilation gains nothing in one pass over everything, and takes as much disk again.
export CARGO_INCREMENTAL="${CARGO_INCREMENTAL:-0}"
locked=(--locked)

step() { printf '\n== %s\n' "$*"; }

step "format"
cargo fmt --check

step "lints"
cargo clippy "${locked[@]}" --all-targets --features bench -- -D warnings
cargo clippy "${locked[@]}" --no-default-features --lib -- -D warnings

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc "${locked[@]}" --no-deps --document-private-items --quiet

step "weights of the embedded model"
cargo run "${locked[@]}" --quiet -- model pull

step "dataset readers"
# In the target folder, so that `cargo clean` takes them too.
target=$(cargo metadata "${locked[@]}" --format-version 1 --no-deps | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
venv="$target/readers"
if ! cmp -s tests/readers/requirements.txt "$venv/requirements.txt"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --requirement tests/readers/requirements.txt
    cp tests/readers/requirements.txt "$venv/requirements.txt"
fi
export CONVOGEN_PYTHON="$venv/bin/python"

step "Azurite"
CONVOGEN_AZURITE=$(scripts/azurite.sh --path)
export CONVOGEN_AZURITE

step "spans, which a build has only if asked for"
cargo clippy "${locked[@]}" --features otlp --bin convogen -- -D warnings
cargo test "${locked[@]}" --features otlp --test it -- spans::

step "tests"
# All of it, so that one run tells of every failure.
cargo test "${locked[@]}" --no-fail-fast "$@"
