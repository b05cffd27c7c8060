#!/usr/bin/env bash
# Measures a newcomer's first build: packages, CPU and wall seconds of a release build from nothing, and the crates that
# took longest. It goes into a folder that is removed again; sources are fetched before, so the network does not count.
# CARGO_BUILD_JOBS sets how many compilers run at once. Needs Python.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(mktemp -d -t convogen-build-XXXXXX)
trap 'rm -rf "$target" "$target.log"' EXIT
cargo fetch --locked --quiet
packages=$(cargo tree --locked --edges normal,build --prefix none --no-dedupe | sed 's/ (.*//' | sort -u | wc -l)
TIMEFORMAT='%R %U %S'
took=$({ time CARGO_TARGET_DIR="$target" cargo build --locked --release --timings >"$target.log" 2>&1; } 2>&1) || {
    cat "$target.log" >&2
    exit 1
}
read -r wall user system <<<"$took"
python3 - "$target/cargo-timings/cargo-timing.html" "$packages" "$wall" "$user" "$system" <<'PYTHON'
import collections, json, os, platform, re, sys

page, packages, wall, user, system = sys.argv[1:]
jobs = os.environ.get("CARGO_BUILD_JOBS", os.cpu_count())
print(f"{platform.machine()}, {os.cpu_count()} cores, {jobs} jobs: {packages} packages, "
      f"cpu s {float(user) + float(system):.0f} (user {user}, system {system}), wall s {wall}")
units = json.loads(re.search(r"UNIT_DATA = (\[.*?\n\]);", open(page).read(), re.S).group(1))
crates = collections.Counter()
for unit in units:
    crates[unit["name"], unit["version"]] += unit["duration"]
for (name, version), seconds in crates.most_common(20):
    print(f"{seconds:8.1f} s wall  {name} {version}")
PYTHON
