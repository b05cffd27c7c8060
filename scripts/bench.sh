#!/usr/bin/env bash
# Measures what the README says of speed and memory, each figure beside a baseline from the same run.
# Needs a release build (made here) and Python. RUNS=5 by default; prints medians and ranges.
# `scripts/bench.sh build` measures a release build from nothing instead.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = build ]; then exec scripts/bench-build.sh; fi
cargo build --locked --release --quiet --bin convogen --example scripted-endpoint --example null-blob
target=$(cargo metadata --locked --format-version 1 --no-deps | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
"$target/release/convogen" model pull >/dev/null
export CONVOGEN="$target/release/convogen" ENDPOINT="$target/release/examples/scripted-endpoint" NULL_BLOB="$target/release/examples/null-blob" READER="$target/readers/bin/python" RUNS="${RUNS:-5}"
exec python3 - <<'PYTHON'
import hashlib, itertools, json, os, platform, random, resource, shutil, statistics, subprocess, sys, tempfile, time

CONVOGEN, ENDPOINT, RUNS = os.environ["CONVOGEN"], os.environ["ENDPOINT"], int(os.environ["RUNS"])
work = tempfile.mkdtemp(prefix="convogen-bench-")


def measure(command, ok=(0,)):
    """Wall seconds, CPU seconds and peak MiB of one process."""
    started = time.monotonic()
    child = subprocess.Popen(command, cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    stderr = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in ok:
        sys.exit(f"{command} ended with {code}: {stderr.decode()}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def table(name, samples, baseline=None):
    wall, cpu, peak = (sorted(column) for column in zip(*samples))
    def show(column):
        return f"{statistics.median(column):9.3f} ({column[0]:.3f} to {column[-1]:.3f})"
    ratio = f"   x {statistics.median(wall) / baseline:.2f} of the baseline" if baseline else ""
    print(f"{name:44} wall s {show(wall)}  cpu s {show(cpu)}  peak MiB {show(peak)}{ratio}", flush=True)
    return statistics.median(wall)


def repeat(command, prepare=lambda: None, runs=RUNS):
    samples = []
    for _ in range(runs):
        prepare()
        samples.append(measure(command))
    return samples


def personas(path, rows):
    with open(path, "w") as out:
        for row in range(rows):
            out.write(json.dumps({"persona": f"A tram driver number {row} who collects {row * 7919 % 100003} old tickets and knows every stop by heart"}) + "\n")


print(f"{platform.machine()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}, medians and ranges of {RUNS} runs")
nothing = table("baseline: /bin/true", repeat(["/bin/true"]))
table("convogen --help", repeat([CONVOGEN, "--help"]), nothing)

personas(f"{work}/200k.jsonl", 200_000)
personas(f"{work}/2m.jsonl", 2_000_000)
parse = "import json,sys\nfor line in open(sys.argv[1]): json.loads(line)"
python = table("baseline: python json, 200,000 personas", repeat([sys.executable, "-c", parse, f"{work}/200k.jsonl"]))
config = {"version": 1, "run_dir": "runs/none", "personas": {"source": "200k.jsonl", "sample": 1000},
          "compile": {"splits": {"train": 1.0}}, "models": {"default": {"provider": "embedded"}}}
for name, rows in (("200k", "200,000"), ("2m", "2,000,000")):
    config["personas"]["source"] = f"{name}.jsonl"
    with open(f"{work}/{name}.yaml", "w") as out:
        json.dump(config, out)
    table(f"plan over {rows} personas, sample 1000", repeat([CONVOGEN, "plan", "-c", f"{name}.yaml"]), python)



def talks(path, conversations, turns=10):
    """Conversation records of 1 to 25 words a turn, from a vocabulary as frequent as that of talk (Zipf)."""
    draw = random.Random(1)
    vocabulary = [f"w{rank:x}" for rank in range(20_000)]
    reach = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(len(vocabulary))))
    people = [{"id": f"p{n}", "name": f"N{n}", "description": "A person.", "persona": "A person of few words."} for n in range(4)]
    with open(path, "w") as out:
        for row in range(conversations):
            lengths = [draw.randint(1, 25) for _ in range(turns)]
            words = iter(draw.choices(vocabulary, cum_weights=reach, k=sum(lengths)))
            said = [{"index": at, "speaker_id": f"p{at % 4}", "speaker": f"N{at % 4}", "addressee_id": None,
                     "text": " ".join(itertools.islice(words, length)) + ".", "selected_by": "order", "attempts": 1}
                    for at, length in enumerate(lengths)]
            out.write(json.dumps({
                "id": f"c-s-{row:05}-0000-00-000", "situation_id": f"s-{row:05}-0000-00", "situation": "They meet.", "topic": "trams",
                "conversation_starter": "So.", "language": "en", "relations": [], "participants": people, "turns": said,
                "stop_reason": "max_turns", "model": "demo", "tier": "demo", "prompt_tokens": 0, "cached_prompt_tokens": 0,
                "completion_tokens": 0, "attributes": "{}", "provenance": '{"handled":{"flaws":{},"mended":{}}}', "labels": "{}",
                "safety": "{}", "judgement": "{}", "split": "train", "hash": f"{row:032x}"}) + "\n")


talks(f"{work}/talks.jsonl", 100_000)
count = """import collections, json, sys
turns, words = 0, collections.Counter()
for line in open(sys.argv[1]):
    for turn in json.loads(line)["turns"]:
        turns += 1
        words.update(turn["text"].lower().split())
print(turns, sum(words.values()), len(words))"""
counting = table("baseline: python json and a word count, 1m turns", repeat([sys.executable, "-c", count, f"{work}/talks.jsonl"]))
table("report over 1,000,000 turns", repeat([CONVOGEN, "report", "talks.jsonl", "--json"]), counting)
os.remove(f"{work}/talks.jsonl")

endpoint = subprocess.Popen([ENDPOINT, "--port", "0"], stdout=subprocess.PIPE, text=True)
try:
    url = endpoint.stdout.readline().strip()
    run = {"version": 1, "run_dir": "runs/load", "seed": 1, "personas": {"sample": 200}, "situations": {"count": 200},
           "models": {"default": {"provider": "openai", "base_url": url, "model": "demo", "api_key_env": None, "concurrency": 64}}}
    with open(f"{work}/load.yaml", "w") as out:
        json.dump(run, out)
    fresh = lambda: shutil.rmtree(f"{work}/runs", ignore_errors=True)
    wall = table("200 conversations, scripted endpoint, no latency", repeat([CONVOGEN, "pipeline", "run", "-c", "load.yaml"], fresh))
    with open(f"{work}/runs/load/dataset/manifest.json") as manifest:
        json.load(manifest)
    journal = sum(1 for name in os.listdir(f"{work}/runs/load/journal") for line in open(f"{work}/runs/load/journal/{name}") if '"kind":"reply"' in line)
    print(f"{'':44} {journal / wall:.0f} durable calls a second, endpoint on the same cores")
finally:
    endpoint.kill()

quick = repeat([CONVOGEN, "pipeline", "run", "--offline"], lambda: shutil.rmtree(f"{work}/runs", ignore_errors=True), max(1, min(RUNS, 3)))
table("quick start with the embedded model", quick)


# Sending 1 GiB to a blob service that forgets it, 4 MiB blocks, 4 in flight. No sender compresses, so any bytes do.
UPLOAD = """import sys
from azure.storage.blob import BlobClient
client = BlobClient(sys.argv[1], "container", "python", credential="bnVsbA==", max_block_size=4 << 20, max_single_put_size=4 << 20)
with open(sys.argv[2], "rb") as file:
    client.upload_blob(file, max_concurrency=4, overwrite=False)
"""
payload, size = f"{work}/payload", 1 << 30
sha256 = hashlib.sha256()
with open(payload, "wb") as out:
    block = os.urandom(1 << 22)
    for at in range(size // len(block)):
        piece = at.to_bytes(8, "big") + block[8:]
        sha256.update(piece)
        out.write(piece)
# The kernel counts the memory of whoever starts a process as that process's first.
print(f"{'':44} peaks below {measure(['/bin/true'])[2]:.0f} MiB show as that much")
service = subprocess.Popen([os.environ["NULL_BLOB"], "serve"], stdout=subprocess.PIPE, text=True)
try:
    url = service.stdout.readline().strip()
    bare = [os.environ["NULL_BLOB"], "put", url, payload]
    senders = {"baseline: bare PUT requests, 1 GiB": bare}
    for checksum in ("crc64", "md5"):
        senders[f"publish, {checksum}, 1 GiB"] = [os.environ["NULL_BLOB"], "upload", url, payload, sha256.hexdigest(), "--checksum", checksum]
    if subprocess.run([os.environ["READER"], "-c", "import azure.storage.blob"], capture_output=True).returncode == 0:
        senders["baseline: azure-storage-blob (Python), 1 GiB"] = [os.environ["READER"], "-c", UPLOAD, url, payload]
    else:
        print("baseline of Python skipped: scripts/test.sh installs its client")
    samples = {name: [] for name in senders}
    for _ in range(RUNS):
        for name, command in senders.items():
            samples[name].append(measure(command))
    cpu = {name: statistics.median(sample[1] for sample in taken) for name, taken in samples.items()}
    for name, taken in samples.items():
        table(name, taken)
        print(f"{'':44} cpu x {cpu[name] / cpu['baseline: bare PUT requests, 1 GiB']:.2f} of bare requests")
finally:
    service.kill()
shutil.rmtree(work)
PYTHON
