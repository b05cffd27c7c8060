"""What convogen costs between its stages and an endpoint, beside a bare client that sends the same requests."""

import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time

from measure import CONVOGEN, EXAMPLES, RUNS, Server, folder, measure, spread, write

SECONDS = float(os.environ.get("SECONDS", "60"))
# The server's latency in milliseconds, and requests in flight.
SETTINGS = [(0, 64), (200, 64), (200, 512), (200, 2_000)]
RAMP_UP = 5
# A client may cost this many times what the bare one does.
FACTOR = 4


def words(draw, count):
    return " ".join("".join(draw.choice("bcdfghklmnprst") + draw.choice("aeiou") for _ in range(draw.randint(1, 4))) for _ in range(count))


def situations(path, count):
    """Situations of four people, as long as those that models write."""
    draw = random.Random(7)
    names = ["Amara Brandt", "Bogdan Kessler", "Celine Moreau", "Dmitri Petrov"]
    with open(path, "w") as out:
        for row in range(count):
            people = [{"name": name, "description": words(draw, 12), "persona": words(draw, 25)} for name in names]
            relations = [f"{one} knows {other} from {words(draw, 3)}." for one, other in zip(names, names[1:])]
            out.write(json.dumps({"id": f"s{row:06}", "personas": people, "relations": relations, "situation": words(draw, 45),
                                  "topic": words(draw, 8), "conversation_starter": words(draw, 15)}) + "\n")


def configure(path, url, in_flight, source, per_situation, **model):
    write(path, {
        "version": 1, "run_dir": "run", "seed": 1,
        "situations": {"mode": "file", "source": source},
        "conversations": {"per_situation": per_situation, "turns": {"min": 4, "max": 4}, "ending": "max_only", "speaker_selection": "auto"},
        "compile": {"splits": {"train": 1.0}},
        "models": {"default": {"provider": "openai", "base_url": url, "model": "demo", "api_key_env": None, "concurrency": in_flight, **model}}})


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fresh(work):
    shutil.rmtree(f"{work}/run", ignore_errors=True)


def record(work):
    """The bodies of a small run, for the bare client."""
    requests = f"{work}/requests.jsonl"
    with Server("fast-endpoint", "--record", requests) as server:
        configure(f"{work}/record.yaml", server.url, 64, "few.jsonl", 1)
        fresh(work)
        measure([CONVOGEN, "pipeline", "run", "-c", "record.yaml"], work)
        server.stats()
    # All but the first ones ask for lines and for speakers, in the mixture of any run.
    lines = open(requests).readlines()
    with open(requests, "w") as out:
        out.writelines(line for line in lines if '"verdict"' not in line)
    return requests


def window(work, server, in_flight):
    """Calls a second, client and server CPU seconds a call, and peak MiB of a run that is stopped amid its conversations."""
    configure(f"{work}/run.yaml", server.url, in_flight, "many.jsonl", 40)
    fresh(work)
    before = server.stats()["answered"]
    child = subprocess.Popen([CONVOGEN, "pipeline", "run", "-c", "run.yaml"], cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while server.stats()["answered"] < before + in_flight:
        time.sleep(0.1)
    time.sleep(RAMP_UP)
    sample = lambda: (time.monotonic(), server.stats(), cpu_seconds(child.pid))
    began, first, cpu = sample()
    time.sleep(SECONDS)
    ended, last, cpu_then = sample()
    if child.poll() is not None:
        sys.exit(f"the run ended with {child.returncode} before it was measured")
    child.send_signal(signal.SIGINT)
    _, _, usage = os.wait4(child.pid, 0)
    calls = last["answered"] - first["answered"]
    return calls / (ended - began), (cpu_then - cpu) / calls, (last["cpu_s"] - first["cpu_s"]) / calls, usage.ru_maxrss / 1024


def replay(work, server, requests, in_flight):
    """Calls a second and CPU seconds a call of the bare client."""
    command = [f"{EXAMPLES}/replay", server.url, requests, "--in-flight", str(in_flight), "--warm-up", str(RAMP_UP), "--seconds", str(SECONDS)]
    told = json.loads(subprocess.run(command, cwd=work, stdout=subprocess.PIPE, check=True).stdout)
    return told["calls"] / told["wall_s"], told["cpu_s"] / told["calls"]


def engine():
    with folder() as work:
        situations(f"{work}/few.jsonl", 200)
        situations(f"{work}/many.jsonl", 4_000)
        requests = record(work)
        samples = {setting: [] for setting in SETTINGS}
        for _ in range(RUNS):
            for latency, in_flight in SETTINGS:
                with Server("fast-endpoint", "--latency-ms", str(latency)) as server:
                    samples[latency, in_flight].append((window(work, server, in_flight), replay(work, server, requests, in_flight)))
        for (latency, in_flight), taken in samples.items():
            show(latency, in_flight, taken)


def show(latency, in_flight, taken):
    rates, cpus, servers, peaks = zip(*(run for run, _ in taken))
    bare_rates, bare_cpus = zip(*(bare for _, bare in taken))
    micro = lambda seconds: [second * 1e6 for second in seconds]
    # What the cores carry beside the server, were convogen to cost as much as it may.
    carried = [os.cpu_count() / (server + FACTOR * bare) for server, bare in zip(servers, bare_cpus)]
    limit = [min(bare, most) for bare, most in zip(bare_rates, carried)]
    print(f"latency {latency} ms, {in_flight} in flight")
    print(f"    calls/s    {spread(rates, 0)}, bare client {spread(bare_rates, 0)}, x {statistics.median(rates) / statistics.median(bare_rates):.2f} of it; "
          f"x {statistics.median(rates) / statistics.median(limit):.2f} of the smaller of that and what the cores carry at {FACTOR} times its CPU, {statistics.median(carried):,.0f}")
    print(f"    us of CPU  {spread(micro(cpus), 1)}, bare client {spread(micro(bare_cpus), 1)}, x {statistics.median(cpus) / statistics.median(bare_cpus):.2f}; server {spread(micro(servers), 1)}")
    print(f"    peak MiB   {spread(peaks, 1)}", flush=True)


def scale():
    """Whole runs, compile included: what grows with the number of conversations, and how fast."""
    counts = [3_000, 30_000] + ([100_000] if os.environ.get("LARGE") else [])
    with folder() as work:
        samples = {count: [] for count in counts}
        for count in counts:
            situations(f"{work}/{count}.jsonl", count)
        for _ in range(RUNS):
            for count in counts:
                with Server("fast-endpoint") as server:
                    configure(f"{work}/{count}.yaml", server.url, 64, f"{count}.jsonl", 1)
                    fresh(work)
                    samples[count].append(measure([CONVOGEN, "pipeline", "run", "-c", f"{count}.yaml"], work))
        first = [statistics.median(column) for column in zip(*samples[counts[0]])]
        for count, taken in samples.items():
            wall, cpu, peak = zip(*taken)
            each = lambda column, at: statistics.median(column) / count / (first[at] / counts[0])
            print(f"{count:,} conversations of 4 turns: wall s {spread(wall, 1)}, x {each(wall, 0):.2f} a conversation; "
                  f"cpu s {spread(cpu, 1)}, x {each(cpu, 1):.2f}; peak MiB {spread(peak, 1)}, x {statistics.median(peak) / first[2]:.2f}", flush=True)
