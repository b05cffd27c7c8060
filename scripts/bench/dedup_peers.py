"""What the section `dedup` compares with: another tool over corpus.jsonl, its removals written to a file of its name.

Each is driven as its documentation says, with word 5-grams of the lower-cased text. A record is removed in favour of the first
that the index answers with; text-dedup removes by clusters.
"""

import json
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
    config = f'''[input]
input_type = "local_files"
file_type = "json"
data_files = "corpus.jsonl"
'''
    raise NotImplementedError(config, threshold)
