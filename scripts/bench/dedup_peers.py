"""What the section `dedup` compares with: another tool over corpus.jsonl, its removals written to a file of its name.

Each is driven as its documentation says, with word 5-grams of the lower-cased text. A record is removed in favour of the first
that the index answers with; text-dedup removes by clusters.
"""

import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

WORD = re.compile(r"\w+")


def shingles(text):
    words = WORD.findall(text.lower())
    return [" ".join(words[at:at + 5]) for at in range(len(words) - 4)]


def records():
    with open("corpus.jsonl") as lines:
        for line in lines:
            record = json.loads(line)
            yield record["id"], record["text"]


def write(name, removed):
    with open(f"{name}.tsv", "w") as out:
        out.writelines(f"{one}\t{kept}\n" for one, kept in removed)


def rensa(threshold):
    from rensa import RMinHash, RMinHashLSH

    index, ids, removed = RMinHashLSH(threshold=threshold, num_perm=128, num_bands=16), [], []
    for at, (name, text) in enumerate(records()):
        ids.append(name)
        signature = RMinHash(num_perm=128, seed=42)
        signature.update(shingles(text))
        found = index.query(signature)
        if found:
            removed.append((name, ids[min(found)]))
        else:
            index.insert(at, signature)
    write("rensa", removed)


def datasketch(threshold):
    from datasketch import MinHash, MinHashLSH

    index, removed = MinHashLSH(threshold=threshold, num_perm=128, params=(16, 8)), []
    for name, text in records():
        signature = MinHash(num_perm=128)
        signature.update_batch([piece.encode() for piece in set(shingles(text))])
        found = index.query(signature)
        if found:
            removed.append((name, min(found)))
        else:
            index.insert(name, signature)
    write("datasketch", removed)


def text_dedup(threshold):
    command = [
        sys.executable, "-m", "text_dedup.minhash", "--path", "json", "--data_files", "corpus.jsonl", "--split", "train",
        "--column", "text", "--ngram", "5", "--num_perm", "128", "--b", "16", "--r", "8", "--hash_func", "xxh3",
        "--threshold", str(threshold), "--output", "text-dedup", "--cache_dir", "cache", "--debug",
        "--num_proc", "2",
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ids = [name for name, _ in records()]
    parents = pickle.loads(Path("text-dedup/uf.pkl").read_bytes()).parent

    def root(at):
        while parents.get(at, at) != at:
            at = parents[at]
        return at

    write("text-dedup", [(ids[at], ids[root(at)]) for at in parents if root(at) != at])


TOOLS = {"rensa": rensa, "datasketch": datasketch, "text-dedup": text_dedup}
IMPORTS = {"rensa": "rensa", "datasketch": "datasketch", "text-dedup": "text_dedup.minhash"}

if sys.argv[2] == "--idle":
    __import__(IMPORTS[sys.argv[1]])
else:
    TOOLS[sys.argv[1]](float(sys.argv[2]))
