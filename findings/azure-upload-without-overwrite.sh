#!/usr/bin/env bash
# azure-storage-blob 12.31.1 for Python sends a large blob whole before it learns that it must not overwrite.
#
# `upload_blob(overwrite=False)`, its default, and a condition on an ETag are checked by the request that commits the list of blocks, the
# last one: every block of the file is sent and paid for first, and the refused ones stay in the account as uncommitted blocks (kept
# for a week, and shown by no listing unless asked for). For files over `max_single_put_size` (64 MiB by default) ask first.
#
# Seen on 2026-11-28, with Azurite 3.37.0:
#   the blob is there: 6 requests, refused by the last; uncommitted blocks left: 5
#
# Exits 0 if it is so, 1 if it has changed. Needs Python 3.11 with pip and Node.js with npm; installs into a temporary folder, uses
# loopback only. The account and its key are the published ones of every Azurite.
set -euo pipefail
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --only-binary :all: azure-storage-blob==12.31.1
npm install --silent --no-save --no-package-lock azurite@3.37.0 >/dev/null
port=$(venv/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
node node_modules/azurite/dist/src/blob/main.js --silent --skipApiVersionCheck --disableTelemetry --inMemoryPersistence \
    --blobHost 127.0.0.1 --blobPort "$port" >azurite.log 2>&1 &
until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.2; done
key="Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
export CONNECTION="DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=$key;BlobEndpoint=http://127.0.0.1:$port/devstoreaccount1;"

venv/bin/python - <<'PY'
import os
from azure.core.exceptions import ResourceExistsError
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.storage.blob import BlobServiceClient

class Requests(SansIOHTTPPolicy):
    seen = []
    def on_request(self, request):
        self.seen.append(request.http_request.headers.get("If-None-Match"))

MIB = 1 << 20
service = BlobServiceClient.from_connection_string(
    os.environ["CONNECTION"], max_single_put_size=MIB, max_block_size=MIB, _additional_pipeline_policies=[Requests()])
blob = service.create_container("tests").get_blob_client("shard.parquet")
blob.upload_blob(b"a" * 5 * MIB)
Requests.seen.clear()
try:
    blob.upload_blob(b"b" * 5 * MIB)
    raise SystemExit("overwritten")
except ResourceExistsError:
    requests = list(Requests.seen)
left = len(blob.get_block_list("uncommitted")[1])
print(f"the blob is there: {len(requests)} requests, refused by the last; uncommitted blocks left: {left}")
assert requests == [None] * 5 + ["*"] and left == 5, (requests, left)
PY
