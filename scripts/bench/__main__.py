"""The sections of scripts/bench.sh, in order."""

import os
import platform
import sys
import time

import basics
import compile as compiling
import dedup
import engine
import limits
import page
import parts
import quality
import tokens
import upload
from measure import RUNS

SECTIONS = {
    "basics": basics.basics,
    "report": basics.report,
    "page": page.page,
    "endpoint": basics.endpoint,
    "engine": engine.engine,
    "limits": limits.limits,
    "scale": engine.scale,
    "embedded": basics.embedded,
    "dedup": dedup.dedup,
    "upload": upload.upload,
    "compile": compiling.compile,
    "parts": parts.parts,
    "tokens": tokens.tokens,
    "quality": quality.quality,
}

wanted = sys.argv[1:] or list(SECTIONS)
unknown = [name for name in wanted if name not in SECTIONS]
if unknown:
    sys.exit(f"no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
print(f"{platform.machine()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}, medians and ranges of {RUNS} runs")
for name in wanted:
    print(f"\n{name}", flush=True)
    SECTIONS[name]()
