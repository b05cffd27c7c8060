"""What sampling and the sharing of turns do to the talk of the embedded model: the same situations and seed, each setting on and off.

The 24 situations of matters.txt, of three to five people, eight turns each, `auto`. Deterministic on one kind of processor; some
minutes on two cores. SAVE=FOLDER keeps the runs, to be read with `convogen show`.
"""

import collections
import glob
import json
import os
import random
import re
import shutil
import subprocess

from measure import CONVOGEN, folder, measure, write

NAMES = ("Ruth Omar Lena Kim Paul Nina Greta Hugo Amara Jonas Priya Felix Ines Boris Clara Dev Elif Stefan Mira Tomas Vera Yusuf Anna Leo "
         "Sofia Karl Hana Pedro Olga Wim").split()
# The settings of the quick start, and those it had before.
BEFORE = {"temperature": 0.4}
AFTER = {"temperature": 0.8, "extra_body": {"presence_penalty": 0.3, "frequency_penalty": 0.1}}
ROWS = [
    ("before", {"balance": "loose"}, BEFORE),
    ("balance", {"balance": "even"}, BEFORE),
    ("balance and penalties", {"balance": "even"}, AFTER),
]


def situations():
    people = [json.loads(line)["persona"] for line in open("prompts/personas/quickstart.jsonl")]
    draw = random.Random(5)
    for at, line in enumerate(line for line in open("scripts/bench/matters.txt") if not line.startswith("#")):
        place, topic, starter, *stances = line.strip().split(" | ")
        cast = draw.sample(range(len(NAMES)), len(stances))
        names = [NAMES[who] for who in cast]
        yield {"id": f"s{at:02}", "topic": topic, "conversation_starter": starter,
               "situation": f"{', '.join(names[:-1])} and {names[-1]} meet {place}. They have to decide {topic}.",
               "personas": [{"id": f"p{who}", "name": NAMES[who], "persona": people[who], "stance": stance,
                             "description": f"{NAMES[who]} is {people[who][0].lower()}{people[who][1:]}"}
                            for who, stance in zip(cast, stances)],
               "relations": [{"from": one, "to": other, "type": "neighbours", "text": f"{one} and {other} are neighbours."}
                             for one, other in zip(names, names[1:])]}


def shared_runs(talks):
    """The share of runs of four words within a turn that another conversation has too."""
    where, runs = collections.defaultdict(set), []
    for at, talk in enumerate(talks):
        for turn in talk["turns"]:
            words = re.findall(r"[\w']+", turn["text"].lower())
            runs += [(at, tuple(words[start:start + 4])) for start in range(len(words) - 3)]
    for at, run in runs:
        where[run].add(at)
    return sum(len(where[run]) > 1 for _, run in runs) / max(1, len(runs))


def quality():
    row = "{:22} {:>5} {:>5} {:>12} {:>7} {:>6} {:>9} {:>6} {:>9}".format
    print(row("", "talks", "turns", "asked again", "words", "MTLD", "4-runs", "Gini", "cohesion"))
    prompt = os.path.abspath("prompts/quickstart/speaker.md")
    with folder() as work:
        with open(f"{work}/talks.jsonl", "w") as out:
            out.writelines(json.dumps(talk) + "\n" for talk in situations())
        for name, conversations, model in ROWS:
            run = re.sub(r"\W+", "-", name)
            write(f"{work}/run.yaml", {
                "version": 1, "run_dir": run, "seed": 5, "situations": {"mode": "file", "source": "talks.jsonl"},
                "conversations": {"turns": {"min": 6, "max": 8}, "ending": "max_only", "speaker_selection": "auto",
                                  "layout": "shared_prefix", "max_repairs": 5,
                                  "prompts": {"speaker": prompt}, **conversations},
                "dedup": {"enabled": False}, "compile": {"splits": {"train": 1.0}},
                "models": {"default": {"provider": "embedded", "concurrency": 2, **model}}})
            measure([CONVOGEN, "pipeline", "run", "-c", "run.yaml"], work, ok=(0, 9))
            told = subprocess.run([CONVOGEN, "report", run, "--json"], cwd=work, stdout=subprocess.PIPE, text=True, check=True)
            figures = json.loads(told.stdout.splitlines()[-1])["subject"]["figures"]
            talks = [json.loads(line) for path in sorted(glob.glob(f"{work}/{run}/dataset/jsonl/conversations-*.jsonl"))
                     for line in open(path)]
            turns = [turn for talk in talks for turn in talk["turns"]]
            again = sum(turn["attempts"] > 1 for turn in turns) / len(turns)
            print(row(name, len(talks), len(turns), f"{again:.1%}", f"{figures['words_per_turn']['mean']:.1f}", f"{figures['mtld']:.1f}",
                      f"{shared_runs(talks):.1%}", f"{figures['gini_turns']:.2f}", f"{figures['cohesion']:.3f}"), flush=True)
            if os.environ.get("SAVE"):
                shutil.copytree(f"{work}/{run}", f"{os.environ['SAVE']}/{run}")
