#!/usr/bin/env bash
# adlfs 2026.8.0 reads a blob that grew since it was listed only up to its old length.
#
# A filesystem object keeps each listing. `open` takes the length of a file from there and asks for that range: a pointer or a log that
# was overwritten by somebody else in between comes back cut off, without an error, while `cat` of the same path returns the whole.
# fsspec hands out one object for equal arguments, so a "new" filesystem has the same listing. `exists` answers from it as well: a
# blob that is gone is still there. `invalidate_cache()` mends all of it. Read a pointer by `cat`.
#
# Seen on 2026-11-28, with Azurite 3.37.0:
#   cat: b'{"version": 2, "more": true}'
#   open: b'{"version": 2,'
#   open after invalidate_cache: b'{"version": 2, "more": true}'
#   exists, after it was deleted: True; after invalidate_cache: False
#
# Exits 0 if it is so, 1 if it has changed. Needs Python 3.11 with pip and Node.js with npm; installs into a temporary folder, uses
# loopback only. The account and its key are the published ones of every Azurite.
set -euo pipefail
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --only-binary :all: adlfs==2026.8.0 azure-storage-blob==12.31.1
npm install --silent --no-save --no-package-lock azurite@3.37.0 >/dev/null
port=$(venv/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
node node_modules/azurite/dist/src/blob/main.js --silent --skipApiVersionCheck --disableTelemetry --inMemoryPersistence \
    --blobHost 127.0.0.1 --blobPort "$port" >azurite.log 2>&1 &
until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.2; done
key="Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
export CONNECTION="DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=$key;BlobEndpoint=http://127.0.0.1:$port/devstoreaccount1;"

venv/bin/python - <<'PY'
import os, fsspec
from azure.storage.blob import BlobServiceClient
container = BlobServiceClient.from_connection_string(os.environ["CONNECTION"]).create_container("tests")
files = fsspec.filesystem("abfs", connection_string=os.environ["CONNECTION"])
old, new = b'{"version": 1}', b'{"version": 2, "more": true}'
container.upload_blob("data/latest.json", old)
container.upload_blob("data/gone.json", old)
files.ls("tests/data")
container.upload_blob("data/latest.json", new, overwrite=True)
container.delete_blob("data/gone.json")
again = fsspec.filesystem("abfs", connection_string=os.environ["CONNECTION"])
whole, opened, there = files.cat("tests/data/latest.json"), again.open("tests/data/latest.json").read(), again.exists("tests/data/gone.json")
files.invalidate_cache()
mended, gone = files.open("tests/data/latest.json").read(), files.exists("tests/data/gone.json")
print(f"cat: {whole}\nopen: {opened}\nopen after invalidate_cache: {mended}\nexists, after it was deleted: {there}; after invalidate_cache: {gone}")
assert again is files and whole == mended == new and opened == new[: len(old)] and there and not gone
PY
