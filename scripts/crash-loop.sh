#!/usr/bin/env bash
# Kills the shipped binary at random moments, N times in all (100 by default), and compares every byte after each resume.
set -euo pipefail
cd "$(dirname "$0")/.."
CONVOGEN_KILLS="${1:-100}" exec cargo test --locked --test crash -- --nocapture
