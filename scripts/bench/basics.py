"""Starting, reading personas, reports, a small run against the scripted endpoint, the quick start."""

import itertools
import json
import os
import random
import shutil
import subprocess
import sys

from measure import CONVOGEN, RUNS, Server, folder, repeat, table, write


def personas(path, rows):
    with open(path, "w") as out:
        for row in range(rows):
            out.write(json.dumps({"persona": f"A tram driver number {row} who collects {row * 7919 % 100003} old tickets and knows every stop by heart"}) + "\n")


def basics():
    with folder() as work:
        nothing = table("baseline: /bin/true", repeat(["/bin/true"], work))
        table("convogen --help", repeat([CONVOGEN, "--help"], work), nothing)
        personas(f"{work}/200k.jsonl", 200_000)
        personas(f"{work}/2m.jsonl", 2_000_000)
        parse = "import json,sys\nfor line in open(sys.argv[1]): json.loads(line)"
        python = table("baseline: python json, 200,000 personas", repeat([sys.executable, "-c", parse, "200k.jsonl"], work))
        config = {"version": 1, "run_dir": "runs/none", "personas": {"sample": 1000},
                  "compile": {"splits": {"train": 1.0}}, "models": {"default": {"provider": "embedded"}}}
        for name, rows in (("200k", "200,000"), ("2m", "2,000,000")):
            config["personas"]["source"] = f"{name}.jsonl"
            write(f"{work}/{name}.yaml", config)
            table(f"plan over {rows} personas, sample 1000", repeat([CONVOGEN, "plan", "-c", f"{name}.yaml"], work), python)


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


COUNT_WORDS = """import collections, json, sys
turns, words = 0, collections.Counter()
for line in open(sys.argv[1]):
    for turn in json.loads(line)["turns"]:
        turns += 1
        words.update(turn["text"].lower().split())
print(turns, sum(words.values()), len(words))"""


def report():
    with folder() as work:
        talks(f"{work}/talks.jsonl", 100_000)
        counting = table("baseline: python json and a word count, 1m turns", repeat([sys.executable, "-c", COUNT_WORDS, "talks.jsonl"], work))
        table("report over 1,000,000 turns", repeat([CONVOGEN, "report", "talks.jsonl", "--json"], work), counting)


def endpoint():
    with folder() as work, Server("scripted-endpoint", "--port", "0") as server:
        run = {"version": 1, "run_dir": "runs/load", "seed": 1, "personas": {"sample": 200}, "situations": {"count": 200},
               "models": {"default": {"provider": "openai", "base_url": server.url, "model": "demo", "api_key_env": None, "concurrency": 64}}}
        write(f"{work}/load.yaml", run)
        fresh = lambda: shutil.rmtree(f"{work}/runs", ignore_errors=True)
        wall = table("200 conversations, scripted endpoint, no latency", repeat([CONVOGEN, "pipeline", "run", "-c", "load.yaml"], work, fresh))
        journal = f"{work}/runs/load/journal"
        replies = sum(1 for name in os.listdir(journal) for line in open(f"{journal}/{name}") if '"kind":"reply"' in line)
        print(f"{'':44} {replies / wall:.0f} durable calls a second, endpoint on the same cores")


def embedded():
    subprocess.run([CONVOGEN, "model", "pull"], stdout=subprocess.DEVNULL, check=True)
    with folder() as work:
        fresh = lambda: shutil.rmtree(f"{work}/runs", ignore_errors=True)
        quick = repeat([CONVOGEN, "pipeline", "run", "--offline"], work, fresh, max(1, min(RUNS, 3)))
        table("quick start with the embedded model", quick)
