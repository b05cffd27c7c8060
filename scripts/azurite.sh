#!/usr/bin/env bash
# Starts Azurite, the emulator of Azure Blob Storage, on 127.0.0.1 to publish to and to read from; Ctrl-C stops it. What is in it is
# kept. Prints the connection string of its account, which every client takes.
# Usage: scripts/azurite.sh [PORT] [FOLDER]     port 10000, target/azurite/data
#        scripts/azurite.sh --path              only installs it and prints where
# Needs Node.js with npm; installed once, into the target folder, so that `cargo clean` takes it too.
set -euo pipefail
cd "$(dirname "$0")/.."
version=3.37.0
target=$(cargo metadata --locked --format-version 1 --no-deps | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
home="$target/azurite"
program="$home/node_modules/azurite/dist/src/blob/main.js"

if [ "$(cat "$home/version" 2>/dev/null)" != "$version" ] || [ ! -f "$program" ]; then
    command -v npm >/dev/null || { echo "azurite.sh: npm is not on the PATH; install Node.js 20 or later" >&2; exit 1; }
    rm -rf "$home/node_modules"
    mkdir -p "$home"
    # No lock file: it would name the registry of whoever wrote it.
    npm install --prefix "$home" --no-save --no-package-lock --no-audit --no-fund --loglevel error "azurite@$version" >&2
    echo "$version" >"$home/version"
fi
if [ "${1:-}" = --path ]; then
    echo "$program"
    exit
fi

port="${1:-10000}"
data="${2:-$home/data}"
mkdir -p "$data"
endpoint="http://127.0.0.1:$port/devstoreaccount1"
# The key is the well-known one of every Azurite.
key="Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
echo "Azurite $version: $endpoint, kept in $data" >&2
echo "AZURE_STORAGE_CONNECTION_STRING='DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=$key;BlobEndpoint=$endpoint;'"
# Python clients ask for versions of the protocol that it does not know yet.
exec node "$program" --silent --skipApiVersionCheck --disableTelemetry --blobHost 127.0.0.1 --blobPort "$port" --location "$data"
