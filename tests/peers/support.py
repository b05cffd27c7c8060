"""What the checks share: servers, a relay that keeps what went through it, and runs of convogen.

CONVOGEN is the program, PEERS_WORK a folder of their own.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORK = Path(os.environ["PEERS_WORK"])
PATIENCE_S = 300
# Calls that a run has in flight at once.
CONCURRENCY = 2
# A model of this size breaks rules in nearly every line; here the servers are looked at, not the text.
GATES = [
    "speaks_for_others", "echo", "loop", "leak", "ai_talk", "recital", "too_long", "closing_loop", "agreement_run",
    "language", "leaked_knowledge",
]


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def send(url, body=None, key=None):
    """Status and decoded answer of one request."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=PATIENCE_S) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as answer:
        return answer.code, json.loads(answer.read())


def say(base, words, key=None, model="demo", **more):
    """One completion, asked for without convogen."""
    body = {"model": model, "messages": [{"role": "user", "content": words}], "max_tokens": 48, **more}
    return send(f"{base}/v1/chat/completions", body, key)


@contextmanager
def process(name, command, env=None, announces=True):
    """A server for as long as the block runs; its address, if it prints one."""
    WORK.mkdir(parents=True, exist_ok=True)
    log = WORK / f"{name}.log"
    with log.open("wb") as out:
        server = subprocess.Popen(command, stdout=subprocess.PIPE if announces else out, stderr=out, env=env)
        try:
            line = server.stdout.readline().decode().strip() if announces else None
            check(line or not announces, f"{name} did not start; see {log}")
            yield line
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until_healthy(url):
    """Waits until a server answers at `url`."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if send(url)[0] == 200:
                return
        except (OSError, ValueError):
            pass
        time.sleep(0.5)
    raise AssertionError(f"nobody answers at {url}")


PROXY_KEY = "sk-peers-of-this-machine"


def listed(name, provider, address, **more):
    """A model of the proxy's list."""
    return {"model_name": name, "litellm_params": {"model": f"{provider}/{name}", "api_base": address, "api_key": "none", **more}}


@contextmanager
def litellm(models):
    """A LiteLLM proxy before what `models` lists; its address."""
    WORK.mkdir(parents=True, exist_ok=True)
    file, port = WORK / "litellm.yaml", free_port()
    # JSON is YAML.
    file.write_text(json.dumps({
        "model_list": models,
        "litellm_settings": {"num_retries": 0},
        "router_settings": {"num_retries": 0},
        "general_settings": {"master_key": PROXY_KEY},
    }))
    command = [str(Path(sys.executable).with_name("litellm")), "--config", str(file), "--host", "127.0.0.1", "--port", str(port)]
    # Nothing of the proxy's looks for newer prices or reports home.
    env = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    with process("litellm", command, env=env, announces=False):
        base = f"http://127.0.0.1:{port}"
        until_healthy(f"{base}/health/liveliness")
        yield base


class Relay:
    """Passes completions on to `target` and keeps each request with its answer. `refuse` may answer in its place."""

    def __init__(self, target, refuse=lambda body: None):
        self.target, self.refuse, self.calls = target, refuse, []

    def __enter__(self):
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                key = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
                status, answer = relay.refuse(body) or send(relay.target + self.path, body, key)
                relay.calls.append((body, status, answer))
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def stage_calls(self):
        """The calls for the dataset, not those that find out what the server can do: situations have their words in them."""
        return [call for call in self.calls if "roof or engine" in json.dumps(call[0])]

    def sum_of_usage(self):
        """Prompt, cached prompt and completion tokens, as the server counted them."""
        used = [answer["usage"] for _, status, answer in self.calls if status == 200]
        cached = [(usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0 for usage in used]
        return sum(u["prompt_tokens"] for u in used), sum(cached), sum(u["completion_tokens"] for u in used)


class Run:
    """One run of convogen over imported situations: exit code, what it printed, what it made."""

    def __init__(self, name, base, settings=(), situations=HERE / "situations.jsonl", model="demo", key_env=None):
        self.folder = WORK / name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.run_dir = self.folder / "run"
        config = self.folder / "peer.yaml"
        # JSON is YAML.
        config.write_text(json.dumps({
            "version": 1, "seed": 17, "run_dir": str(self.run_dir),
            "situations": {"mode": "file", "source": str(situations), "coverage": None},
            "conversations": {
                "turns": {"min": 2, "max": 3}, "ending": "max_only", "layout": "shared_prefix",
                "max_repairs": 4, "gates": {"without": GATES},
            },
            "dedup": {"enabled": False},
            "compile": {"splits": {"train": 1.0}},
            "models": {"default": {
                "provider": "openai", "base_url": f"{base}/v1", "model": model, "api_key_env": key_env,
                "concurrency": CONCURRENCY, "temperature": 0.9, "max_tokens": 120, "max_attempts": 4, "max_wait_s": 60,
            }},
        }))
        sets = [part for setting in settings for part in ("--set", setting)]
        self.code, self.out, self.err = self.command(["pipeline", "run", "-c", str(config), "--json", *sets])

    def command(self, arguments):
        try:
            done = subprocess.run(
                [os.environ["CONVOGEN"], *arguments], cwd=self.folder, capture_output=True, text=True,
                timeout=PATIENCE_S, stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired as late:
            told = (late.stderr or b"").decode()[-600:]
            raise AssertionError(f"convogen did not end within {PATIENCE_S} s: {told}") from late
        return done.returncode, done.stdout, done.stderr

    def summary(self):
        return json.loads(self.out.strip().splitlines()[-1])

    def status(self):
        _, out, err = self.command(["pipeline", "status", str(self.run_dir)])
        return out + err

    def conversations(self):
        """What the dataset holds of conversations."""
        files = sorted((self.run_dir / "dataset" / "jsonl").glob("conversations-*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def ended(self, *codes):
        check(self.code in codes, f"exit {self.code}, not {codes}: {self.err[-900:]}")
        return self

    def whole(self):
        """The run has ended, and every record of its dataset is whole."""
        self.ended(0, 9)
        check((self.run_dir / "dataset" / "manifest.json").is_file(), "no dataset was made")
        records, counted = self.conversations(), self.summary()["stages"]["conversations"]
        check(len(records) == counted["accepted"], f"{len(records)} records, and the summary says {counted}")
        for record in records:
            people = {person["id"] for person in record["participants"]}
            check(len(people) == 3, f"{record['id']} has lost people: {people}")
            check([turn["index"] for turn in record["turns"]] == list(range(len(record["turns"]))), "turns are missing")
            for turn in record["turns"]:
                check(turn["speaker_id"] in people and turn["text"].strip(), f"no whole turn: {turn}")
        return self


def run_checks(checks):
    """Runs each of `checks`, pairs of a name and a function, and exits with 1 if one failed."""
    failed = 0
    for name, function in checks:
        begun = time.monotonic()
        try:
            function()
            told = "ok"
        except AssertionError as wrong:
            failed += 1
            told = f"FAILED: {wrong}"
        except Exception:  # A check that cannot be made is a failure too, and the others are still of interest.
            failed += 1
            told = f"FAILED: {traceback.format_exc()}"
        print(f"{name} ... {told} ({time.monotonic() - begun:.0f} s)", flush=True)
    print(f"{len(checks) - failed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed else 0)
