#!/usr/bin/env bash
# Everything a change has to pass, with whatever that needs fetched here: formatting, lints, documentation, the tests.
# Needs Rust, Python with pip, and Node.js with npm; the embedded model's weights, the dataset readers, the driver of a browser
# and Azurite are fetched once and kept. The browser is Debian's Chromium, or the one that CONVOGEN_CHROMIUM names.
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
# Every feature, what a newcomer builds, and none.
cargo clippy "${locked[@]}" --all-targets --features bench,otlp -- -D warnings
cargo clippy "${locked[@]}" --bin convogen -- -D warnings
cargo clippy "${locked[@]}" --no-default-features --lib -- -D warnings

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc "${locked[@]}" --no-deps --document-private-items --quiet

step "build"
# With spans, so that one build serves their tests as well. The program that the tests run is made with them; `cargo run` would
# build everything again, since dependencies have other features where there are no tests.
cargo test "${locked[@]}" --features otlp --no-run
target=$(cargo metadata "${locked[@]}" --format-version 1 --no-deps | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')

step "weights of the embedded model"
"$target/debug/convogen" model pull

step "dataset readers"
# In the target folder, so that `cargo clean` takes them too.
python_with() {
    local venv="$target/$1" wanted="tests/$1/requirements.txt"
    if ! cmp -s "$wanted" "$venv/requirements.txt"; then
        rm -rf "$venv"
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --requirement "$wanted"
        cp "$wanted" "$venv/requirements.txt"
    fi
}
python_with readers
export CONVOGEN_PYTHON="$target/readers/bin/python"

step "browser"
if [ -z "${CONVOGEN_CHROMIUM:-}" ] && ! command -v chromium >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; } >/dev/null || true
fi
CONVOGEN_CHROMIUM="${CONVOGEN_CHROMIUM:-$(command -v chromium || true)}"
if [ -n "$CONVOGEN_CHROMIUM" ]; then
    python_with page
    [ -f "$target/page/node_modules/axe-core/axe.min.js" ] || npm install --silent --no-save --prefix "$target/page" axe-core@4.14.1 >/dev/null
    export CONVOGEN_CHROMIUM CONVOGEN_BROWSER_PYTHON="$target/page/bin/python" CONVOGEN_AXE="$target/page/node_modules/axe-core/axe.min.js"
else
    echo "skipped: there is no Chromium here and it cannot be installed; name one by CONVOGEN_CHROMIUM"
fi

step "Azurite"
CONVOGEN_AZURITE=$(scripts/azurite.sh --path)
export CONVOGEN_AZURITE

step "tests"
# All of it, so that one run tells of every failure.
cargo test "${locked[@]}" --features otlp --no-fail-fast "$@"
