#!/usr/bin/env python3
"""Checks that mlcroissant reads a dataset by the description that convogen writes, as docs/reading.md says it does.

Run by scripts/test-peers.sh, apart from the other readers since mlcroissant brings much along.
"""

import json
import os
import subprocess
import sys

from support import HERE, WORK, check, run_checks

PEOPLE = [{"id": f"p{n}", "name": name, "description": f"{name} bakes.", "persona": "A baker"} for n, name in enumerate(["Ann", "Bo"])]


def conversation(number):
    """A record; every other one has no relations, and turns that address nobody."""
    odd = number % 2 == 1
    turns = [
        {"index": at, "speaker_id": f"p{at % 2}", "speaker": PEOPLE[at % 2]["name"], "addressee_id": "p0" if odd else None,
         "text": f"Loaf {number}.{at}, naïve", "selected_by": "order", "attempts": 1}
        for at in range(number % 4)
    ]
    relations = [{"from": "p0", "to": "p1", "type": "sister", "text": "Ann is Bo's sister."}] if odd else []
    texts = {key: f"{key} {number}" for key in ("situation", "topic", "conversation_starter", "stop_reason", "model", "tier", "hash")}
    counts = dict.fromkeys(["prompt_tokens", "cached_prompt_tokens", "completion_tokens"], number)
    objects = dict.fromkeys(["attributes", "provenance", "labels", "safety", "judgement"], "{}")
    return {"id": f"c{number:04}", "situation_id": "s", "language": "en", "split": "test" if number % 5 == 4 else "train",
            "relations": relations, "participants": PEOPLE, "turns": turns, **texts, **counts, **objects}


def croissant_describes_nested_turns():
    WORK.mkdir(parents=True, exist_ok=True)
    given, folder = WORK / "conversations.jsonl", WORK / "described"
    given.write_text("".join(json.dumps(conversation(number)) + "\n" for number in range(40)), encoding="utf-8")
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    subprocess.run([os.environ["CONVOGEN"], "compile", str(given), "-o", str(folder)], check=True)
    script = HERE.parent / "readers" / "read_as_documented.py"
    read = subprocess.run([sys.executable, str(script), "local", str(folder)], capture_output=True, text=True)
    check(read.returncode == 0, read.stderr)
    check("mlcroissant" not in read.stdout, f"mlcroissant was skipped: {read.stdout}")


if __name__ == "__main__":
    checks = [("readers: nested turns as croissant.json describes them", croissant_describes_nested_turns)]
    run_checks([pair for pair in checks if all(word in pair[0] for word in sys.argv[1:])])
