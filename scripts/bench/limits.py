"""What is left of an endpoint's rate when it turns calls away, and how much of a quota is used."""

import contextlib
import signal
import statistics
import subprocess
import sys
import time

from engine import RAMP_UP, SECONDS, configure, fresh, situations
from measure import CONVOGEN, RUNS, Server, folder, spread


@contextlib.contextmanager
def run(work, server, in_flight, **model):
    """A run that is stopped in the end."""
    configure(f"{work}/run.yaml", server.url, in_flight, "many.jsonl", 40, **model)
    fresh(work)
    child = subprocess.Popen([CONVOGEN, "pipeline", "run", "-c", "run.yaml"], cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield child
        if child.poll() is not None:
            sys.exit(f"the run ended with {child.returncode} before it was measured")
    finally:
        child.send_signal(signal.SIGINT)
        child.wait()


def rate(server, seconds):
    """Answers a second."""
    began, first = time.monotonic(), server.stats()["answered"]
    time.sleep(seconds)
    return (server.stats()["answered"] - first) / (time.monotonic() - began)


def random_refusals(work, latency):
    """The rate under a fifth of random 429s with hints of 100 ms, in parts of the clean one."""
    rates = []
    for share in ("0", "0.2"):
        with Server("fast-endpoint", "--latency-ms", str(latency), "--refuse", share) as server, run(work, server, 64):
            time.sleep(RAMP_UP)
            rates.append(rate(server, SECONDS))
    return rates[1] / rates[0]


def quota(work, rpm, tpm, limits):
    """The part of a quota that is used, and the share of calls answered 429, from the first call on."""
    options = ["--rpm", str(rpm)] + (["--tpm", str(tpm)] if tpm else [])
    with Server("fast-endpoint", "--latency-ms", "200", *options) as server, run(work, server, 128, limits=limits):
        while not server.stats()["answered"]:
            time.sleep(0.01)
        began = time.monotonic()
        time.sleep(SECONDS)
        stats, took = server.stats(), time.monotonic() - began
    taken, refused = stats["taken_tokens"], stats["refused"]
    requests = (stats["answered"] + stats["in_flight"]) / (rpm / 60 * took)
    tokens = taken / (tpm / 60 * took) if tpm else 0
    return max(requests, tokens), refused / (refused + stats["answered"])


def storm(work, hint):
    """The rate from twice the hint after a storm of 30 s on, in parts of the rate before it."""
    options = ["--storm-from", "10", "--storm-s", "30", "--hint-ms", str(int(hint * 1000))]
    with Server("fast-endpoint", "--latency-ms", "200", *options) as server, run(work, server, 64):
        while not server.stats()["answered"]:
            time.sleep(0.01)
        began = time.monotonic()
        time.sleep(4)
        before = rate(server, 5)
        time.sleep(40 + 2 * hint - (time.monotonic() - began))
        return rate(server, 5) / before


def one_at_a_time(work):
    """Calls, and those given up, of a whole run against a server that works on one call at a time."""
    with Server("fast-endpoint", "--latency-ms", "100", "--one-at-a-time") as server:
        configure(f"{work}/run.yaml", server.url, 64, "few.jsonl", 1, timeouts={"first_byte_s": 1.2})
        fresh(work)
        child = subprocess.run([CONVOGEN, "pipeline", "run", "-c", "run.yaml"], cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if child.returncode not in (0, 9):
            sys.exit(f"the run ended with {child.returncode}: {child.stderr.decode()}")
        stats = server.stats()
        return stats["answered"], stats["given_up"]


def limits():
    with folder() as work:
        situations(f"{work}/few.jsonl", 30)
        situations(f"{work}/many.jsonl", 4_000)
        for latency in (0, 200):
            print(f"a fifth of random 429s, latency {latency} ms, 64 in flight: x {spread([random_refusals(work, latency) for _ in range(RUNS)], 2)} of the clean rate", flush=True)
        for name, rpm, tpm, told in [("requests", 6_000, None, True), ("tokens", 60_000, 4_000_000, True), ("requests, not configured", 6_000, None, False)]:
            known = {"rpm": rpm, "tpm": tpm} if told else {}
            used, refused = zip(*(quota(work, rpm, tpm, known) for _ in range(RUNS)))
            print(f"a quota of {name}: {spread(used, 3)} of it used, share of 429s {spread(refused, 4)}", flush=True)
        for hint in (1, 4):
            print(f"a storm of 30 s with hints of {hint} s: x {spread([storm(work, hint) for _ in range(RUNS)], 2)} of the rate within twice the hint", flush=True)
        calls, given_up = zip(*(one_at_a_time(work) for _ in range(RUNS)))
        print(f"one call at a time, 64 as ceiling: {statistics.median(calls):,.0f} calls, given up {spread(given_up, 0)}", flush=True)
