"""Processes measured as the kernel counts them, and lines of figures."""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

CONVOGEN, EXAMPLES, RUNS = os.environ["CONVOGEN"], os.environ["EXAMPLES"], int(os.environ.get("RUNS", "5"))


@contextlib.contextmanager
def folder():
    """A folder that is removed in the end."""
    path = tempfile.mkdtemp(prefix="convogen-bench-")
    try:
        yield path
    finally:
        shutil.rmtree(path)


def measure(command, cwd, ok=(0,)):
    """Wall seconds, CPU seconds and peak MiB of one process."""
    started = time.monotonic()
    child = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    stderr = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in ok:
        sys.exit(f"{command} ended with {code}: {stderr.decode()}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def repeat(command, cwd, prepare=lambda: None, runs=RUNS):
    samples = []
    for _ in range(runs):
        prepare()
        samples.append(measure(command, cwd))
    return samples


def spread(values, digits=3):
    """The median, and the range it is from."""
    values = sorted(values)
    return f"{statistics.median(values):,.{digits}f} ({values[0]:,.{digits}f} to {values[-1]:,.{digits}f})"


def table(name, samples, baseline=None):
    wall, cpu, peak = zip(*samples)
    ratio = f"   x {statistics.median(wall) / baseline:.2f} of the baseline" if baseline else ""
    print(f"{name:44} wall s {spread(wall)}  cpu s {spread(cpu)}  peak MiB {spread(peak, 1)}{ratio}", flush=True)
    return statistics.median(wall)


def write(path, value):
    with open(path, "w") as out:
        json.dump(value, out)


class Server:
    """An example program that prints its address and runs until it is stopped."""

    def __init__(self, name, *arguments):
        command = [f"{EXAMPLES}/{name}", *arguments]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self.child.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()

    def stats(self):
        """What the fast endpoint counts."""
        with urllib.request.urlopen(f"{self.url}/stats") as answer:
            return json.load(answer)
