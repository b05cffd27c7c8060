"""Sending 1 GiB to a blob service that forgets it, 4 MiB blocks, 4 in flight. No sender compresses, so any bytes do."""

import hashlib
import os
import statistics
import subprocess

from measure import EXAMPLES, RUNS, Server, folder, measure, table

READER = os.environ["READER"]
PYTHON_SENDER = """import sys
from azure.storage.blob import BlobClient
client = BlobClient(sys.argv[1], "container", "python", credential="bnVsbA==", max_block_size=4 << 20, max_single_put_size=4 << 20)
with open(sys.argv[2], "rb") as file:
    client.upload_blob(file, max_concurrency=4, overwrite=False)
"""


def make_payload(path, size):
    sha256 = hashlib.sha256()
    with open(path, "wb") as out:
        block = os.urandom(1 << 22)
        for at in range(size // len(block)):
            piece = at.to_bytes(8, "big") + block[8:]
            sha256.update(piece)
            out.write(piece)
    return sha256.hexdigest()


def upload():
    with folder() as work, Server("null-blob", "serve") as service:
        payload = f"{work}/payload"
        sha256 = make_payload(payload, 1 << 30)
        # The kernel counts the memory of whoever starts a process as that process's first.
        print(f"{'':44} peaks below {measure(['/bin/true'], work)[2]:.0f} MiB show as that much")
        program = f"{EXAMPLES}/null-blob"
        senders = {"baseline: bare PUT requests, 1 GiB": [program, "put", service.url, payload]}
        for checksum in ("crc64", "md5"):
            senders[f"publish, {checksum}, 1 GiB"] = [program, "upload", service.url, payload, sha256, "--checksum", checksum]
        if os.path.exists(READER) and subprocess.run([READER, "-c", "import azure.storage.blob"], capture_output=True).returncode == 0:
            senders["baseline: azure-storage-blob (Python), 1 GiB"] = [READER, "-c", PYTHON_SENDER, service.url, payload]
        else:
            print("baseline of Python skipped: scripts/test.sh installs its client")
        samples = {name: [] for name in senders}
        for _ in range(RUNS):
            for name, command in senders.items():
                samples[name].append(measure(command, work))
        cpu = {name: statistics.median(sample[1] for sample in taken) for name, taken in samples.items()}
        for name, taken in samples.items():
            table(name, taken)
            print(f"{'':44} cpu x {cpu[name] / cpu['baseline: bare PUT requests, 1 GiB']:.2f} of bare requests")
