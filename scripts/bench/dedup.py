"""Deduplication beside rensa, datasketch and text-dedup: the same corpus, the same shingles, in the same run."""

import itertools
import json
import os
import random
import statistics
import subprocess
import sys
from pathlib import Path

from measure import CONVOGEN, RUNS, folder, measure, spread

RECORDS = int(os.environ.get("RECORDS", "1000000"))
TOOLS = os.environ.get("TOOLS", "rensa datasketch text-dedup").split()
THRESHOLD = 0.7
FAMILIES = 200
PEERS = Path(__file__).with_name("dedup_peers.py")
REQUIREMENTS = ["rensa==0.5.0", "datasketch==2.0.0", "text-dedup==0.4.0"]


def grams(words):
    words = [word.strip(".").lower() for word in words]
    return {tuple(words[at:at + 5]) for at in range(len(words) - 4)}


def similarity(one, other):
    one, other = grams(one), grams(other)
    return len(one & other) / len(one | other)


def written(words, draw):
    """Words as prose: a capital and a full stop for every dozen or so."""
    text, left = [], 0
    for word in words:
        if left == 0:
            left, word = draw.randint(6, 15), word.capitalize()
        left -= 1
        text.append(word + "." if left == 0 else word)
    return text


class Words:
    """Words of a vocabulary as frequent as those of prose (Zipf)."""

    def __init__(self, draw):
        syllables = [c + v for c in "bcdfghjklmnprstvz" for v in "aeiou"]
        self.draw = draw
        self.vocabulary = ["".join(draw.choices(syllables, k=draw.randint(2, 4))) for _ in range(20_000)]
        self.reach = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(len(self.vocabulary))))

    def take(self, count):
        return self.draw.choices(self.vocabulary, cum_weights=self.reach, k=count)


def corpus(path, records):
    """70 % bases, a third of them of families that share 46 of 100 words; 20 % near duplicates with 1 to 12 words replaced; 10 %
    exact copies; in no order. Returns for each id its base, and for each near duplicate its Jaccard index with the base."""
    draw = random.Random(17)
    words = Words(draw)
    templates = [words.take(46) for _ in range(FAMILIES)]
    bases = records * 7 // 10
    copied = [draw.randrange(bases) for _ in range(records - bases)]
    wanted, kept = set(copied), {}
    ids = list(range(records))
    draw.shuffle(ids)
    names, near = {}, []

    def write(at, base, own):
        name = f"r{ids[at]:08}"
        names[name] = base
        out.write(json.dumps({"id": name, "text": " ".join(own)}) + "\n")
        return name

    with open(path, "w") as out:
        for at in range(bases):
            if at % 3 == 0:
                # In two runs, so that members have a Jaccard index of 0.2 to 0.3 with each other.
                template = templates[draw.randrange(FAMILIES)]
                own = template[:30] + words.take(draw.randint(20, 35)) + template[30:] + words.take(draw.randint(20, 35))
            else:
                own = words.take(draw.randint(80, 120))
            own = written(own, draw)
            name = write(at, at, own)
            if at in wanted:
                kept[at] = (name, own)
        for at, base in enumerate(copied, bases):
            name, own = kept[base]
            if at % 3:
                edited = list(own)
                for place in draw.sample(range(len(own)), draw.randint(1, 12)):
                    edited[place] = words.take(1)[0]
                near.append((write(at, base, edited), name, similarity(own, edited)))
            else:
                write(at, base, own)
    lines = Path(path).read_bytes().splitlines(keepends=True)
    draw.shuffle(lines)
    Path(path).write_bytes(b"".join(lines))
    return names, near


def scores(removed, names, near):
    """Of the planted pairs at the threshold, the share of which not both stay; and how many were removed for another's sake."""
    reached = [(one, other) for one, other, jaccard in near if jaccard >= THRESHOLD]
    found = sum(one in removed or other in removed for one, other in reached)
    wrong = sum(names[one] != names[kept] for one, kept in removed.items())
    return found / max(1, len(reached)), wrong


def tell(name, idle, samples, removed, names, near, ours):
    """A line of figures, without what starting costs; CPU microseconds a record."""
    wall, cpu, peak = (sorted(value - least for value in values) for values, least in zip(zip(*samples), idle))
    micro = statistics.median(cpu) / RECORDS * 1e6
    recall, wrong = scores(removed, names, near)
    ratio = f"   x {micro / ours:.1f} of convogen" if ours else ""
    print(f"{name:18} cpu s {spread(cpu)}  us a record {micro:.2f}  wall s {spread(wall)}  bytes a record "
          f"{max(peak) * 2**20 / RECORDS:,.0f}  recall {recall:.4f}  removed {len(removed):,}, wrongly {wrong:,}{ratio}", flush=True)
    return micro


def peers_python():
    """An interpreter with the other tools, installed once beside the build."""
    venv = Path(CONVOGEN).parent.parent / "dedup-peers"
    python, marker = venv / "bin" / "python", venv / "requirements.txt"
    if not marker.exists() or marker.read_text().split() != REQUIREMENTS:
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        # One or two of what they need come as source, of Python alone.
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--prefer-binary", *REQUIREMENTS], check=True)
        marker.write_text("\n".join(REQUIREMENTS))
    return str(python)


def dedup():
    python = peers_python()
    with folder() as work:
        # In a process of its own: what this one holds would count as the peak of those it starts.
        subprocess.run([sys.executable, __file__, str(RECORDS)], cwd=work, check=True)
        command = [CONVOGEN, "dedup", "corpus.jsonl", "--report", "report.jsonl", "--threshold", str(THRESHOLD)]
        # The others say what to remove and remove nothing, so the first is what they are compared with.
        commands = {"convogen": command, "convogen, 1 thread": [*command, "--threads", "1"],
                    "convogen, removing": [*command, "-o", "out.jsonl"]}
        idle = dict.fromkeys(commands, measure([CONVOGEN, "--version"], work))
        for peer in TOOLS:
            commands[peer] = [python, str(PEERS), peer, str(THRESHOLD)]
            # What starting Python and its imports cost is not what is compared.
            idle[peer] = measure([python, str(PEERS), peer, "--idle"], work)
        # In turn, so that a machine that others use is the same for all.
        samples = {name: [] for name in commands}
        for _ in range(RUNS):
            for name, command in commands.items():
                samples[name].append(measure(command, work))
        names, near = json.loads(Path(f"{work}/truth.json").read_text())
        size, planted = os.path.getsize(f"{work}/corpus.jsonl") / RECORDS, sum(jaccard >= THRESHOLD for _, _, jaccard in near)
        print(f"{RECORDS:,} records of {size:.0f} bytes, {planted:,} planted near duplicates at {THRESHOLD} and more")
        ours = None
        for name, taken in samples.items():
            micro = tell(name, idle[name], taken, removals(work, name), names, near, ours)
            ours = ours or micro


def removals(work, name):
    """The id of each removed record, and the one that stayed for it."""
    if name.startswith("convogen"):
        return {row["id"]: row["kept"] for row in map(json.loads, open(f"{work}/report.jsonl"))}
    return dict(line.rstrip("\n").split("\t") for line in open(f"{work}/{name}.tsv"))


if __name__ == "__main__":
    Path("truth.json").write_text(json.dumps(corpus("corpus.jsonl", int(sys.argv[1]))))
