#!/usr/bin/env python3
"""Checks what convogen makes of errors as a LiteLLM proxy passes them on, before an upstream that fails.

Run by scripts/test-peers.sh. Each failure is first asked for without convogen, so that a check tells whether the proxy or
convogen has changed.
"""

import os
import sys
from pathlib import Path

from support import CONCURRENCY, HERE, PROXY_KEY, Relay, Run, check, listed, litellm, process, run_checks, say
from upstream import MARK

NAMES = ["openai-filter", "empty-filter", "refusal", "quota", "gone", "small", "well"]
# First calls that end alike and so stop a run.
ALIKE = 5
# One of three situations holds MARK.
OF_ALL, MARKED = 3, 1


def models(upstream):
    """What the proxy lists."""
    named = [listed(name, "openai", f"{upstream}/v1") for name in NAMES]
    return [*named, listed("azure-filter", "azure", upstream, api_version="2024-10-21")]


def through(proxy, model, settings=(), key_env="PEERS_KEY"):
    """A run behind the proxy, and the calls it made."""
    with Relay(proxy) as relay:
        always = ["conversations.speaker_selection=round_robin"]
        run = Run(f"proxy-{model}", relay.base, [*always, *settings], model=model, key_env=key_env)
        return run, relay.calls


def refused_by_a_filter(proxy, model, categories):
    """A prompt that a filter refuses costs its own conversation, at one call, and the record of it says why."""
    status, answer = say(proxy, f"The {MARK} is late.", PROXY_KEY, model)
    check(status >= 400 or answer["choices"][0]["message"]["content"] is None, f"the proxy lets it pass: {answer}")
    run, calls = through(proxy, model)
    run.ended(9).whole()
    counted = run.summary()["stages"]["conversations"]
    told = {key: count for key, count in counted.items() if count}
    check(told == {"accepted": OF_ALL - MARKED, "refused": MARKED}, f"outcomes {told}: {run.err[-900:]}")
    marked = [body for body, _, _ in calls if MARK in str(body["messages"])]
    check(len(marked) == MARKED, f"a refused prompt was sent {len(marked)} times")
    lost = "".join(file.read_text() for file in Path(run.run_dir).glob("stages/*conversations/rejected.jsonl"))
    check(any(category in lost for category in categories), f"none of {categories} stands in: {lost}")


def stops(proxy, model, words, codes=(6,), key_env="PEERS_KEY"):
    """What every call meets stops the run within a few calls, seals nothing, and is told in words that help."""
    status, answer = say(proxy, "Good morning.", os.environ[key_env], model)
    check(status >= 400, f"the proxy answers {model}: {answer}")
    run, calls = through(proxy, model, ["conversations.per_situation=8"], key_env)
    run.ended(*codes)
    # For seconds after a failure the proxy turns calls away by itself, with a 429, and what a 429 meets is asked again.
    asked = [answer for _, _, answer in calls if "in cooldown" not in str(answer)]
    # So many alike end a run where one answer alone does not; in flight at the last are the others, one of them just begun.
    check(0 < len(asked) <= ALIKE + CONCURRENCY, f"{len(asked)} calls of {len(calls)} were made of what cannot work")
    check(all(word in run.err for word in words), f"one of {words} is not told: {run.err[-900:]}")
    check(not (run.run_dir / "dataset").exists(), "a dataset was sealed of nothing")


def a_full_context(proxy):
    """A transcript that the model behind the proxy has no room for ends its conversation."""
    status, answer = say(proxy, "boat " * 1000, PROXY_KEY, "small")
    check(status == 400 and "context" in answer["error"]["message"], f"the proxy said {status}: {answer}")
    run, calls = through(proxy, "small", ["conversations.turns.max=60", "situations.count=1"])
    run.whole()
    check(any(status == 400 for _, status, _ in calls), "the context was never full")
    reasons = [record["stop_reason"] for record in run.conversations()]
    check(reasons == ["context_full"], f"the conversation ended as {reasons}: {run.err[-900:]}")


def all_is_well(proxy):
    """Behind the proxy as before the upstream itself: everything is accepted."""
    run, calls = through(proxy, "well")
    run.ended(0).whole()
    check(all(status == 200 for _, status, _ in calls), "a call failed")


def checks_of(proxy):
    yield "proxy: all is well", lambda: all_is_well(proxy)
    for model, categories in [
        ("azure-filter", ["violence"]), ("openai-filter", ["content_filter"]), ("empty-filter", ["violence"]),
        ("refusal", ["refusal"]),
    ]:
        yield f"proxy: {model} refuses one prompt", lambda m=model, c=categories: refused_by_a_filter(proxy, m, c)
    yield "proxy: a spent quota stops the run", lambda: stops(proxy, "quota", ["quota"])
    yield "proxy: a model that the upstream does not know stops the run", lambda: stops(proxy, "gone", ["model"], (2, 6))
    yield "proxy: a model that the proxy does not know stops the run", lambda: stops(proxy, "unlisted", ["model"], (2, 6))
    yield "proxy: a wrong key stops the run", lambda: stops(proxy, "well", ["No connected db"], key_env="PEERS_WRONG_KEY")
    yield "proxy: a full context ends the conversation", lambda: a_full_context(proxy)


def main():
    # Without a database, the proxy answers a key that it does not know with 400 and these words, not with 401.
    os.environ |= {"PEERS_KEY": PROXY_KEY, "PEERS_WRONG_KEY": "sk-of-somebody-else"}
    with process("upstream", [sys.executable, str(HERE / "upstream.py")]) as upstream, litellm(models(upstream)) as proxy:
        run_checks([pair for pair in checks_of(proxy) if all(word in pair[0] for word in sys.argv[1:])])


if __name__ == "__main__":
    main()
