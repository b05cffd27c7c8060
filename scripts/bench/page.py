"""The page of a million turns: how long it takes to be written, to be opened and to be searched, and what it weighs."""

import json
import os
import random
import subprocess
import time

from measure import CONVOGEN, RUNS, folder, repeat, spread, table

TURNS = int(os.environ.get("PAGE_TURNS", "1000000"))
TURNS_EACH = 10
# Every how many conversations a word stands that nothing else holds.
RARE = 1_000
NAMES = "Ada Bola Chen Dara Emil Fatima Goran Hana Ivo Jun Kofi Lena Mina Nuno Olga Pia Quentin Rosa Sami Tove".split()


def conversations(path, count):
    """Records whose words are as frequent as those of any text (Zipf's law), so that they pack as prose does."""
    draw = random.Random(17)
    words = ["".join(draw.choices("etaoinshrdlucmfwypvbg", k=draw.randint(2, 9))) for _ in range(20_000)]
    weights = [1 / (rank + 2.7) for rank in range(len(words))]
    sums, total = [], 0.0
    for weight in weights:
        total += weight
        sums.append(total)
    prose = lambda least, most: " ".join(draw.choices(words, cum_weights=sums, k=draw.randint(least, most))).capitalize() + "."
    with open(path, "w") as out:
        for number in range(count):
            cast = draw.sample(NAMES, 4)
            people = [{"id": f"p{number:07}-{at}", "name": name, "description": prose(8, 14), "persona": prose(12, 25)} for at, name in enumerate(cast)]
            turns = []
            for index in range(TURNS_EACH):
                speaker = people[index * 7 % 4]
                rare = " zyxw" if number % RARE == 0 and index == 0 else ""
                turns.append({"index": index, "speaker_id": speaker["id"], "speaker": speaker["name"], "addressee_id": None,
                              "text": prose(4, 24) + rare, "selected_by": "model", "attempts": 1 + (draw.random() < 0.05)})
            handled = {"flaws": {"echo": 1} if number % 3 == 0 else {}, "mended": {}, "asked_again": 0, "repair_calls": 0, "selector_calls": 10, "fallbacks": 0}
            out.write(json.dumps({
                "id": f"c-s-{number:07}-000", "situation_id": f"s-{number:07}", "situation": prose(30, 60), "topic": prose(3, 7), "conversation_starter": prose(8, 16),
                "language": "en", "relations": [{"from": people[0]["id"], "to": people[1]["id"], "type": "colleague", "text": prose(5, 10)}], "participants": people,
                "turns": turns, "stop_reason": draw.choice(["agreed", "max_turns"]), "model": "demo", "tier": "endpoint", "prompt_tokens": 9000,
                "cached_prompt_tokens": 0, "completion_tokens": 300, "attributes": json.dumps({"tone": draw.choice(["warm", "tense"])}),
                "provenance": json.dumps({"seed": 17, "handled": handled}), "labels": "{}", "safety": "{}", "judgement": "{}", "split": "train", "hash": f"{draw.getrandbits(128):032x}",
            }) + "\n")


def children(pid):
    return [int(child) for child in subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()]


def tree_kib(pid):
    """What a process and its children hold alone, and their part of what they share, in KiB."""
    try:
        own = next(int(line.split()[1]) for line in open(f"/proc/{pid}/smaps_rollup") if line.startswith("Pss:"))
    except (OSError, StopIteration):
        own = 0
    return own + sum(tree_kib(child) for child in children(pid))


def page():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        print("skipped: needs tests/page/requirements.txt and Chromium (CONVOGEN_CHROMIUM)")
        return
    with folder() as work:
        conversations(f"{work}/talks.jsonl", TURNS // TURNS_EACH)
        report = table(f"baseline: terminal report over {TURNS:,} turns", repeat([CONVOGEN, "report", "talks.jsonl", "--json"], work))
        table("page of the same", repeat([CONVOGEN, "report", "talks.jsonl", "--html", "talks.html", "--force"], work), report)
        sizes = [os.path.getsize(f"{work}/talks.{end}") for end in ("html", "jsonl")]
        print(f"{'size':44} {sizes[0] / 1e6:.1f} MB, {sizes[0] / sizes[1]:.3f} of {sizes[1] / 1e6:.1f} MB of JSONL", flush=True)
        figures = [opened(sync_playwright, f"file://{work}/talks.html#/conversations") for _ in range(RUNS)]
        for name, unit in [("first conversation", "s"), ("all read", "s"), ("search for a rare word", "s"), ("search for a frequent word", "s"),
                           ("frames a second while scrolling", ""), ("rows missing while scrolling", ""), ("memory, every process", "MB"), ("without a page", "MB")]:
            print(f"{name:44} {unit} {spread([one[name] for one in figures], 2)}", flush=True)


def opened(sync_playwright, address):
    figures = {}
    with sync_playwright() as playwright:
        executable = os.environ.get("CONVOGEN_CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        tab = browser.new_context(offline=True).new_page()
        root = browser_pid()
        figures["without a page"] = tree_kib(root) / 1024
        started = time.monotonic()
        tab.goto(address, wait_until="commit")
        tab.wait_for_selector(".row", timeout=120_000)
        tab.evaluate("() => { location.hash = document.querySelector('.row').getAttribute('href') }")
        tab.wait_for_selector(".turn", timeout=120_000)
        figures["first conversation"] = time.monotonic() - started
        tab.wait_for_function("() => document.readyState === 'complete' && !document.querySelector('script.chunk')", timeout=300_000)
        figures["all read"] = time.monotonic() - started
        tab.evaluate("() => { location.hash = '#/conversations' }")
        for name, text, expected in [("search for a rare word", "zyxw", TURNS // TURNS_EACH // RARE), ("search for a frequent word", "e", None)]:
            tab.fill("#search", "")
            tab.wait_for_timeout(500)
            tab.evaluate("() => { delete document.querySelector('.conversations').dataset.searched }")
            tab.fill("#search", text)
            tab.wait_for_function("() => document.querySelector('.conversations').dataset.searched", timeout=120_000)
            figures[name] = float(tab.get_attribute(".conversations", "data-searched")) / 1000
            told = tab.text_content("#told")
            assert expected is None or told.startswith(f"{expected:,} of"), told
        tab.fill("#search", "")
        tab.wait_for_timeout(500)
        figures |= tab.evaluate(SCROLL)
        figures["memory, every process"] = tree_kib(root) / 1024
        browser.close()
    return figures


def browser_pid(pid=None):
    """The browser among what this process has started."""
    for child in children(pid or os.getpid()):
        if open(f"/proc/{child}/comm").read().startswith("chrom"):
            return child
        if found := browser_pid(child):
            return found
    return None


# From end to end in 120 steps, a frame each: how long frames took, and whether rows were missing in any.
SCROLL = """async () => {
  const scroller = document.querySelector('.scroller');
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const begun = performance.now();
  let missing = 0;
  for (let step = 1; step <= 120; step++) {
    scroller.scrollTop = (scroller.scrollHeight - scroller.clientHeight) * step / 120;
    await frame();
    await frame();
    const box = scroller.getBoundingClientRect();
    for (const part of [0.05, 0.5, 0.95]) {
      if (!document.elementFromPoint(box.left + 40, box.top + box.height * part)?.closest('.row')) missing += 1;
    }
  }
  const seconds = (performance.now() - begun) / 1000;
  return { 'frames a second while scrolling': 240 / seconds, 'rows missing while scrolling': missing };
}"""
