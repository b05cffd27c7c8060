"""Prompt tokens by turns, strategy and layout, beside AutoGen's for the same talk. Nothing here depends on time or chance.

The situations are the examples that ship; who speaks and what is said come from a list, the same for every row. Tokens are
counted with the tokenizer of the embedded model, chat template included. What a prefix cache would not serve is counted in
blocks of 128 tokens, as endpoints do, with and without their rule that prompts below 1,024 tokens are not cached.

AUTOGEN names a Python that has AutoGen 0.2 (pip install "autogen-agentchat~=0.2"); without it those rows are left out.
"""

import glob
import http.server
import json
import os
import random
import re
import shutil
import subprocess
import threading

from measure import CONVOGEN, EXAMPLES, folder, measure, write

TURNS = [8, 20, 40]
STRATEGIES = ["auto", "fused", "round_robin", "random", "rules"]
LAYOUTS = ["agent_first", "shared_prefix"]
GATES = ["speaks_for_others", "echo", "loop", "leak", "ai_talk", "recital", "too_long", "closing_loop", "agreement_run", "language",
         "leaked_knowledge"]
# Words of a line: what models write that are asked to be brief.
WORDS = 20


def situations():
    shots = [json.load(open(name)) for name in sorted(glob.glob("prompts/situations/shots-personas/*.json"))]
    return [{"id": f"s{at}", **shot} for at, shot in enumerate(shots)]


def lines():
    """Lines of talk, each of WORDS words or more."""
    talk = re.findall(r"^[^=>|\n:]+: (.+)$", open("tests/fixtures/talk/en.txt").read(), re.MULTILINE)
    made, line = [], ""
    for said in talk:
        line = f"{line} {said}".strip()
        if len(line.split()) >= WORDS:
            made.append(line)
            line = ""
    return made


class Talk(http.server.ThreadingHTTPServer):
    """A model that says the next line of the list, or names who speaks next."""

    def __init__(self, talks):
        super().__init__(("127.0.0.1", 0), Handler)
        self.talks, self.said, self.lines, self.bodies = talks, {}, lines(), []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def answer(self, body):
        self.bodies.append(body)
        prompt = "\n".join(message["content"] for message in body["messages"])
        talk = next(at for at, talk in enumerate(self.talks) if talk["conversation_starter"] in prompt)
        said = self.said.setdefault(talk, 0)
        draw = random.Random(f"{talk} {said}")
        form = body.get("response_format", {}).get("json_schema", {})
        names = form.get("schema", {}).get("properties", {}).get("next", {}).get("enum")
        listed = re.search(r"\[('[^\[\]]+'|[^\[\]]+)\]", body["messages"][-1]["content"])
        if form.get("name") == "next_speaker":
            return json.dumps({"next": draw.choice(names), "end": False})
        if not form and listed and len(body["messages"]) > 2:
            return draw.choice([name.strip(" '") for name in listed[1].split(",")])
        self.said[talk] += 1
        line = self.lines[(talk * 7 + said) % len(self.lines)]
        return json.dumps({"text": line, "next": draw.choice(names), "end": False}) if form else line


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        message = {"role": "assistant", "content": self.server.answer(body)}
        answer = json.dumps({"id": "x", "object": "chat.completion", "created": 1, "model": body["model"],
                             "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                             "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


def count(bodies, weights):
    """Calls, prompt tokens, and those a prefix cache does not serve, without and with its minimum."""
    def shown(message):
        # A name that is sent beside the text is read as a line of it.
        return {"role": message["role"], "content": "\n".join(filter(None, [message.get("name"), message["content"]]))}
    lines = "".join(json.dumps([shown(message) for message in body["messages"]]) + "\n" for body in bodies)
    told = subprocess.run([f"{EXAMPLES}/count-tokens", weights], input=lines, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(told.stdout)


def convogen(work, talks, turns, strategy, layout, context=None):
    with open(f"{work}/talks.jsonl", "w") as out:
        out.writelines(json.dumps(talk) + "\n" for talk in talks)
    server = Talk(talks)
    write(f"{work}/run.yaml", {
        "version": 1, "run_dir": "run", "seed": 1, "situations": {"mode": "file", "source": "talks.jsonl"},
        "conversations": {"turns": {"min": turns, "max": turns}, "ending": "max_only", "speaker_selection": strategy, "layout": layout,
                          "context": context or {}, "gates": {"without": GATES}},
        "safety": {"screen": False}, "dedup": {"enabled": False}, "compile": {"splits": {"train": 1.0}},
        "models": {"default": {"provider": "openai", "base_url": server.url, "model": "demo", "api_key_env": None,
                               "concurrency": 1, "structured": "json_schema"}}})
    shutil.rmtree(f"{work}/run", ignore_errors=True)
    measure([CONVOGEN, "pipeline", "run", "-c", "run.yaml"], work)
    return server.bodies


def autogen(work, talks, turns):
    server = Talk(talks)
    with open(f"{work}/talks.jsonl", "w") as out:
        out.writelines(json.dumps(talk) + "\n" for talk in talks)
    script = os.path.join(os.path.dirname(__file__), "autogen_talk.py")
    subprocess.run([os.environ["AUTOGEN"], script, server.url, f"{work}/talks.jsonl", str(turns)], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return server.bodies


def tokens():
    weights = subprocess.run([CONVOGEN, "model", "path"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    talks = situations()
    row = "{:>5}  {:12} {:14} {:>7} {:>10} {:>10} {:>10} {:>8} {:>8} {:>8}".format
    print(row("turns", "strategy", "layout", "calls", "prompt", "uncached", "from 1,024", "prompt x", "unc. x", "1,024 x"))
    with folder() as work:
        for turns in TURNS:
            rows = [("AutoGen 0.2", "", lambda: autogen(work, talks, turns))] if os.environ.get("AUTOGEN") else []
            rows += [(strategy, layout, lambda strategy=strategy, layout=layout: convogen(work, talks, turns, strategy, layout))
                     for strategy in STRATEGIES for layout in LAYOUTS]
            if turns == max(TURNS):
                bound = {"last_turns": 12, "summary": True}
                rows.append(("fused", "last 12 turns", lambda: convogen(work, talks, turns, "fused", "shared_prefix", bound)))
            first = None
            for strategy, layout, bodies in rows:
                told = count(bodies(), weights)
                figures = [told[key] for key in ("calls", "prompt", "uncached", "uncached_from_1024")]
                first = first or figures
                shares = [f"{one / other:.2f}" for one, other in zip(figures[1:], first[1:])]
                print(row(turns, strategy, layout, *(f"{figure / len(talks):,.0f}" for figure in figures), *shares), flush=True)
    print(f"a conversation, mean of {len(talks)}; x: of the first row with as many turns")
