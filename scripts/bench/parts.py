"""Runs in parts, compiled together: what memory and time are for ten times as many records.

Four parts are run with a scripted endpoint and then multiplied: rows keep their shape and length, every text is drawn anew. One in
twenty of the people, situations and conversations of the other parts is one of part 0: exactly, or nearly.
"""

import copy
import hashlib
import json
import os
import random
import shutil

from measure import CONVOGEN, Server, folder, repeat, table, write

# Conversations in all parts together.
COUNTS = [int(count) for count in os.environ.get("COUNTS", "20000,200000").split(",")]
PARTS = 4
STAGES = ["1-personas", "2-situations", "3-conversations"]
TEXTS = ["situation", "topic", "conversation_starter"]
SHARED = 1 / 20

vocabulary = random.Random(1)
WORDS = ["".join(vocabulary.choice("bcdfghklmnprst") + vocabulary.choice("aeiou") for _ in range(vocabulary.randint(1, 4))) for _ in range(30_000)]


def digest(*parts):
    return hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=16).hexdigest()


def drawn(*parts):
    return random.Random(digest(*parts))


def like(draw, text):
    """As many words as `text` has."""
    return " ".join(draw.choices(WORDS, k=max(3, len(text.split())))) + "."


class Stage:
    """The rows of a sealed stage, written anew with the manifest that lists them."""

    def __init__(self, path):
        self.path, self.hash, self.bytes, self.rows = path, hashlib.sha256(), 0, 0
        self.out = open(f"{path}/part-00000.jsonl", "wb")

    def put(self, row):
        line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self.out.write(line)
        self.hash.update(line)
        self.bytes += len(line)
        self.rows += 1

    def seal(self, upstream, **figures):
        self.out.close()
        with open(f"{self.path}/manifest.json") as read:
            manifest = json.load(read)
        manifest["upstream"] = upstream
        manifest["counts"].update(accepted=self.rows, inputs=self.rows)
        manifest["notes"].setdefault("figures", {}).update(figures)
        for entry in manifest["files"]:
            if entry["path"] == "part-00000.jsonl":
                entry.update(bytes=self.bytes, rows=self.rows, sha256=self.hash.hexdigest())
        content = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        with open(f"{self.path}/manifest.json", "w") as out:
            out.write(content)
        return hashlib.sha256(content.encode()).hexdigest()


def rows(path):
    with open(path) as read:
        return [json.loads(line) for line in read]


def owner(part, kind, at):
    """The part whose text a record has."""
    return 0 if drawn(kind, part, at).random() < SHARED else part


def multiply(source, target, part, count):
    """Makes of a finished part one that has its share of `count` conversations."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("dataset", "journal", "logs", "part-00000.jsonl"))
    people, situations, talks = [rows(f"{source}/stages/{stage}/part-00000.jsonl") for stage in STAGES]
    stages = [Stage(f"{target}/stages/{stage}") for stage in STAGES]
    by_split = {"train": [], "test": []}
    for at in range(count // PARTS):
        draw = drawn("person", owner(part, "person", at), at)
        text, split = like(draw, "word " * 16), "test" if draw.random() < 0.2 else "train"
        by_split[split].append((f"p{at:010}", text))
        stages[0].put({**people[at % len(people)], "id": f"p{at:010}", "persona": text, "split": split, "hash": digest(text)})
    cells = {}
    for at in range(count // 2 // PARTS):
        situation = drawn_situation(situations[at % len(situations)], part, at, by_split)
        cells[situation["attributes"]] = cells.get(situation["attributes"], 0) + 1
        stages[1].put(situation)
        first = at % len(situations) * 2
        for index, talk in enumerate(talks[first : first + 2]):
            stages[2].put(drawn_talk(talk, part, at, index, situation))
    upstream = stages[0].seal(None)
    stages[2].seal(stages[1].seal(upstream, coverage=cells))


def drawn_situation(template, part, at, by_split):
    whose = owner(part, "situation", at)
    draw, made = drawn("situation", whose, at), copy.deepcopy(template)
    split = "test" if draw.random() < 0.2 else "train"
    group = draw.sample(by_split[split], len(made["personas"]))
    ids = {}
    for person, (id, text) in zip(made["personas"], group):
        ids[person["id"]] = id
        person.update(id=id, persona=text, description=like(draw, person["description"]))
        person.update({key: like(draw, person[key]) for key in ["stance", "goal", "knowledge"] if person[key]})
    for relation in made["relations"]:
        relation.update({"from": ids[relation["from"]], "to": ids[relation["to"]], "text": like(draw, relation["text"])})
    made.update({key: like(draw, made[key]) for key in TEXTS})
    # As the cells of a coverage grid: most situations have one of their own.
    cell = {key: like(drawn(key, draw.randrange(9)), "word") for key in ["conflict", "domain", "relation", "setting", "tone"]}
    made.update(id=f"s-{at:09}", split=split, attributes=json.dumps(cell), hash=digest(made["situation"]))
    return made


def drawn_talk(template, part, at, index, situation):
    draw, made = drawn("talk", owner(part, "talk", 2 * at + index), at, index), copy.deepcopy(template)
    ids = {person["id"]: cast["id"] for person, cast in zip(made["participants"], situation["personas"])}
    for person, cast in zip(made["participants"], situation["personas"]):
        person.update({key: cast[key] for key in ["id", "description", "persona"]})
    for turn in made["turns"]:
        addressee = turn["addressee_id"] and ids[turn["addressee_id"]]
        turn.update(text=like(draw, turn["text"]), speaker_id=ids[turn["speaker_id"]], addressee_id=addressee)
    made.update({key: situation[key] for key in [*TEXTS, "relations", "attributes", "split"]})
    return {**made, "id": f"c-{situation['id']}-{index:03}", "situation_id": situation["id"]}


def parts():
    with folder() as work:
        with Server("scripted-endpoint", "--port", "0") as server:
            write(f"{work}/run.yaml", {
                "version": 1, "run_dir": "run", "seed": 1, "personas": {"sample": 200},
                "situations": {"count": 80, "personas": {"min": 3, "max": 4}},
                "conversations": {"per_situation": 2, "turns": {"min": 6, "max": 8}},
                "compile": {"personas": "all", "splits": {"train": 0.8, "test": 0.2}},
                "models": {"default": {"provider": "openai", "base_url": server.url, "model": "demo", "api_key_env": None, "concurrency": 8}}})
            for part in range(PARTS):
                repeat([CONVOGEN, "pipeline", "run", "-c", "run.yaml", "--shard", f"{part}/{PARTS}"], work, runs=1)
        for count in COUNTS:
            for part in range(PARTS):
                multiply(f"{work}/run-{part}-of-{PARTS}", f"{work}/{count}-{part}-of-{PARTS}", part, count)
            write(f"{work}/upload.yaml", {
                "version": 1, "runs": [str(count)], "include": ["personas", "situations", "conversations"],
                "dataset": "parts", "work_dir": "work", "destination": {"folder": "out"}})
            prepare = lambda: [shutil.rmtree(f"{work}/{made}", ignore_errors=True) for made in ["work", "out"]]
            table(f"{count:,} conversations in {PARTS} parts", repeat([CONVOGEN, "compile-upload", "-c", "upload.yaml"], work, prepare))
            for part in range(PARTS):
                shutil.rmtree(f"{work}/{count}-{part}-of-{PARTS}")
