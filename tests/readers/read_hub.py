#!/usr/bin/env python3
"""Reads a dataset back from a hub with `huggingface_hub` and `datasets`, and pushes another one there with the same client.

    HF_ENDPOINT=... HF_TOKEN=... VENV/bin/python tests/readers/read_hub.py OWNER/NAME COMPILED_FOLDER

What was published must be what was compiled, byte for byte and row for row. The push shows that the server, where it is that
of the tests, speaks what the client speaks. Exits with 1 and a message at the first difference.
"""

import os
import sys
import tempfile
from pathlib import Path

# Set before the libraries are imported: no cache may outlive the check.
CACHE = tempfile.TemporaryDirectory()
os.environ |= {"HF_HOME": CACHE.name, "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"}
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"

from datasets import get_dataset_config_names, load_dataset
from huggingface_hub import HfApi, snapshot_download

OURS = {".gitattributes", "convogen.json"}


def check(condition, message):
    if not condition:
        sys.exit(message)


def contents(folder):
    files = (path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if ".cache" not in path.parts}


def main():
    repository, folder = sys.argv[1:]
    api, compiled = HfApi(), contents(folder)
    check(api.dataset_info(repository).private, f"{repository} is not private")
    listed = set(api.list_repo_files(repository, repo_type="dataset"))
    check(listed == set(compiled) | OURS, f"listed: {sorted(listed)}")
    copy = contents(snapshot_download(repository, repo_type="dataset", local_dir=Path(CACHE.name) / "copy"))
    for name, content in compiled.items():
        check(copy[name] == content, f"{name} is not what was compiled")

    names = get_dataset_config_names(repository)
    check(names, "the card names no table")
    rows = 0
    for name in names:
        for split, table in load_dataset(repository, name).items():
            lines = compiled[f"jsonl/{name}-{split}.jsonl"].splitlines()
            check(len(table) == len(lines), f"{name}, {split}: {len(table)} rows, {len(lines)} in JSON Lines")
            rows += len(table)

    other = f"{repository}-pushed"
    api.create_repo(other, repo_type="dataset", private=True)
    api.upload_folder(repo_id=other, repo_type="dataset", folder_path=folder)
    pushed = set(api.list_repo_files(other, repo_type="dataset"))
    check(pushed == set(compiled) | {".gitattributes"}, f"pushed: {sorted(pushed)}")
    print(f"{len(compiled)} files and {rows} rows of {', '.join(names)} agree")


if __name__ == "__main__":
    main()
