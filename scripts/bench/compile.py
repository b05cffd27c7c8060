"""JSON Lines of conversations to Parquet, zstd 3: convogen compile beside DuckDB, polars and pyarrow, each in a process of its own.

MB=1024 is the size of the input. convogen besides copies the rows to jsonl/ and hashes every file; the others write Parquet alone.
Sizes compared are those of the Parquet files.
"""

import json
import os
import random
import statistics
import subprocess
from pathlib import Path

from measure import CONVOGEN, RUNS, folder, measure, table

READER = os.environ["READER"]
MB = int(os.environ.get("MB", "1024"))
DUCKDB = """import duckdb, sys
duckdb.sql(f"COPY (FROM read_json('{sys.argv[1]}', format = 'newline_delimited')) TO '{sys.argv[2]}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3, ROW_GROUP_SIZE 16384)")
"""
POLARS = """import polars, sys
polars.scan_ndjson(sys.argv[1]).sink_parquet(sys.argv[2], compression="zstd", compression_level=3, row_group_size=16384)
"""
POLARS_EAGER = """import polars, sys
polars.read_ndjson(sys.argv[1]).write_parquet(sys.argv[2], compression="zstd", compression_level=3, row_group_size=16384)
"""
PYARROW = """import pyarrow.json, pyarrow.parquet, sys
rows = pyarrow.json.read_json(sys.argv[1], pyarrow.json.ReadOptions(block_size=32 << 20))
pyarrow.parquet.write_table(rows, sys.argv[2], compression="zstd", compression_level=3, row_group_size=16384)
"""


def make_input(path, size):
    """Conversations of about ten turns, words by Zipf's law, escapes and other scripts in a fifth of the turns."""
    draw = random.Random(17)
    vocabulary = ["".join(draw.choices("abcdefghijklmnoprstuvw", k=draw.randint(2, 10))) for _ in range(20_000)]
    pool = draw.choices(vocabulary, [1 / (rank + 1) for rank in range(len(vocabulary))], k=1 << 20)
    names = [name.capitalize() for name in draw.sample(vocabulary, 400)]

    def words(count):
        at = draw.randrange(len(pool) - count)
        return " ".join(pool[at : at + count])

    def turn(at, people):
        speaker, other = draw.sample(people, 2)
        text = words(draw.randint(4, 36)) + draw.choice(["."] * 8 + [' "so to say".', ", naïve 今日は\n."])
        return {"index": at, "speaker_id": speaker["id"], "speaker": speaker["name"], "addressee_id": other["id"], "text": text,
                "selected_by": "model", "attempts": 1}

    written, number = 0, 0
    with open(path, "w", encoding="utf-8") as out:
        while written < size:
            people = [{"id": f"p{draw.randrange(10**10):010}", "name": draw.choice(names), "description": words(9), "persona": words(18)}
                      for _ in range(draw.randint(3, 5))]
            relation = {"from": people[0]["id"], "to": people[1]["id"], "type": "colleague", "text": words(8)}
            line = json.dumps({
                "id": f"c-s-{number:08}-000", "situation_id": f"s-{number:08}", "situation": words(50), "topic": words(5),
                "conversation_starter": words(9), "language": "en", "relations": [relation], "participants": people,
                "turns": [turn(at, people) for at in range(draw.randint(6, 14))], "stop_reason": "max_turns", "model": "demo",
                "tier": "endpoint", "prompt_tokens": draw.randrange(9000), "cached_prompt_tokens": draw.randrange(900),
                "completion_tokens": draw.randrange(900), "attributes": "{}", "provenance": '{"selection":"auto"}', "labels": "{}",
                "safety": "{}", "judgement": "{}", "split": "train", "hash": f"{draw.getrandbits(128):032x}",
            }, ensure_ascii=False, separators=(",", ":")) + "\n"
            written += out.write(line)
            number += 1
    return number


def parquet_bytes(path):
    files = Path(path).rglob("data/*.parquet") if Path(path).is_dir() else [Path(path)]
    return sum(file.stat().st_size for file in files)


def compile():
    tools = {"duckdb": DUCKDB, "polars, streaming": POLARS, "polars, eager": POLARS_EAGER, "pyarrow": PYARROW}
    with folder() as work:
        source = f"{work}/in.jsonl"
        rows = make_input(source, MB << 20)
        size = os.path.getsize(source) / (1 << 20)
        print(f"{rows:,} conversations, {size:,.0f} MiB of JSON Lines")
        commands = {"convogen compile": lambda out: [CONVOGEN, "--quiet", "compile", source, "-o", out]}
        for name, script in tools.items():
            imports = script.split(", sys")[0]
            if os.path.exists(READER) and subprocess.run([READER, "-c", imports], capture_output=True).returncode == 0:
                commands[f"baseline: {name}"] = lambda out, script=script: [READER, "-c", script, source, out]
            else:
                print(f"baseline of {name} skipped: scripts/test.sh installs it")
        samples, sizes = {name: [] for name in commands}, {}
        for _ in range(RUNS):
            for name, command in commands.items():
                out = f"{work}/out"
                samples[name].append(measure(command(out), work))
                sizes[name] = parquet_bytes(out) / (1 << 20)
                subprocess.run(["rm", "-rf", out], check=True)
        speeds = {name: size / statistics.median(sample[1] for sample in taken) for name, taken in samples.items()}
        best = max((speed for name, speed in speeds.items() if name.startswith("baseline")), default=None)
        for name, taken in samples.items():
            table(name, taken)
            ratio = f", x {speeds[name] / best:.2f} of the best baseline" if best else ""
            print(f"{'':44} {speeds[name]:,.1f} MiB per CPU second{ratio}; Parquet {sizes[name]:,.1f} MiB")
