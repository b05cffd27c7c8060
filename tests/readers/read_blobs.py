#!/usr/bin/env python3
"""Downloads a published dataset as a reader would: from the pointer to the manifest to the files, every byte checked.

    python -m venv VENV && VENV/bin/pip install -r tests/readers/requirements.txt
    AZURE_STORAGE_CONNECTION_STRING=... VENV/bin/python tests/readers/read_blobs.py CONTAINER DATASET FOLDER

FOLDER then holds the dataset; `read_dataset.py FOLDER` compares its tables. Exits with 1 and a message at the first
thing that is not as the manifest says.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

from azure.storage.blob import ContainerClient

# The newest version that Azurite 3.37.0 takes; the client's own is later. Azure takes both.
API_VERSION = "2026-04-06"


def check(condition, message):
    if not condition:
        sys.exit(message)


def read(container, path):
    return container.download_blob(path).readall()


def main(arguments):
    if len(arguments) != 3:
        sys.exit(f"usage: {sys.argv[0]} CONTAINER DATASET FOLDER")
    name, dataset, folder = arguments
    secret = os.environ["AZURE_STORAGE_CONNECTION_STRING"]
    container = ContainerClient.from_connection_string(secret, name, api_version=API_VERSION)
    pointer = json.loads(read(container, f"{dataset}/latest.json"))
    root = f"{dataset}/versions/{pointer['version']}"
    check(f"{dataset}/{pointer['manifest']}" == f"{root}/manifest.json", f"the pointer is {pointer}")
    manifest = read(container, f"{root}/manifest.json")
    check(hashlib.sha256(manifest).hexdigest() == pointer["manifest_sha256"], "the pointer names another manifest")
    entries = {entry["path"]: entry for entry in json.loads(manifest)["files"]}
    listed = {blob.name.removeprefix(f"{root}/") for blob in container.list_blobs(name_starts_with=f"{root}/")}
    check(listed == {*entries, "manifest.json"}, f"listing and manifest differ in {sorted(listed ^ {*entries})}")
    for path in sorted(listed):
        data = read(container, f"{root}/{path}")
        entry = entries.get(path, {"bytes": len(manifest), "sha256": pointer["manifest_sha256"]})
        check(len(data) == entry["bytes"], f"{path}: {len(data)} bytes, {entry['bytes']} in the manifest")
        check(hashlib.sha256(data).hexdigest() == entry["sha256"], f"{path}: SHA-256 differs from the manifest")
        target = Path(folder) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    print(f"version {pointer['version']}: {len(listed)} blobs agree with the manifest")


if __name__ == "__main__":
    main(sys.argv[1:])
