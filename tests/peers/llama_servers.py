#!/usr/bin/env python3
"""Checks convogen against llama.cpp's server with the embedded model's own weights, alone and behind a LiteLLM proxy.

Run by scripts/test-peers.sh. Each server is asked without convogen what it does, and convogen has to have seen the same.
"""

import json
import os
import sys
from contextlib import contextmanager
from functools import partial

from support import HERE, PROXY_KEY, Relay, Run, check, listed, litellm, process, run_checks, say

WEIGHTS = os.environ["PEERS_WEIGHTS"]
ROOM, LITTLE_ROOM = 4096, 768
STRATEGIES = ["auto", "fused", "round_robin", "random", "rules"]
SCHEMA = {
    "type": "object", "properties": {"mark": {"type": "string", "enum": ["kept"]}}, "required": ["mark"],
    "additionalProperties": False,
}
# The ways to ask for JSON, strongest first. The words ask for no JSON, so only a server that enforces a form keeps to it.
FORMS = {
    "json_schema": {"type": "json_schema", "json_schema": {"name": "mark", "strict": True, "schema": SCHEMA}},
    "json_object with schema": {"type": "json_object", "schema": SCHEMA},
    "json_object": {"type": "json_object"},
}


@contextmanager
def bindings(room):
    command = [sys.executable, str(HERE / "llama_cpp.py"), WEIGHTS, str(room)]
    with process("xllamacpp", command) as base:
        yield base


@contextmanager
def proxied(room):
    with bindings(room) as base, litellm([listed("demo", "openai", f"{base}/v1")]) as proxy:
        yield proxy


def keeps_to(base, form):
    """Whether a server makes its reply fit the form, whatever the words ask for."""
    status, answer = say(base, "Greet the people in the room.", PROXY_KEY, response_format=FORMS[form], temperature=0)
    if status != 200:
        return False
    try:
        value = json.loads(answer["choices"][0]["message"]["content"])
    except ValueError:
        return answer["choices"][0]["finish_reason"] == "length" and form == "json_object" and begins_as_json(answer)
    return value == {"mark": "kept"} if form != "json_object" else isinstance(value, dict)


def begins_as_json(answer):
    return answer["choices"][0]["message"]["content"].lstrip().startswith("{")


def form_of(body):
    form = body.get("response_format") or {}
    return f"{form['type']} with schema" if form.get("type") == "json_object" and "schema" in form else form.get("type")


def a_run_in(strategy, base):
    """A run in a strategy ends, with whole records and the usage that the server counted."""
    with Relay(base) as relay:
        settings = [f"conversations.speaker_selection={strategy}", "situations.count=1"]
        run = Run(f"strategy-{strategy}", relay.base, settings, key_env="PEERS_KEY").whole()
        usage = run.summary()["usage"]
        told = tuple(usage[key] for key in ("prompt_tokens", "cached_prompt_tokens", "completion_tokens"))
        check(told == relay.sum_of_usage(), f"usage {told}, and the server counted {relay.sum_of_usage()}")
        check(usage["calls"] == len(relay.calls), f"{usage['calls']} calls told, {len(relay.calls)} made")


def json_as_the_server_keeps_it(base, refused):
    """JSON is asked for in the strongest form that the server keeps to, and `status` says in which."""

    def refuse(body):
        # As llama-cpp-python 0.3.36 answers a form that it does not know.
        if form_of(body) in refused:
            message = "[{'type': 'literal_error', 'loc': ('body', 'response_format', 'type')}]"
            return 500, {"error": {"message": message, "type": "internal_server_error", "param": None, "code": None}}
        return None

    kept = [form for form in FORMS if form not in refused and keeps_to(base, form)]
    with Relay(base, refuse) as relay:
        run = Run("json", relay.base, ["conversations.speaker_selection=fused", "situations.count=1"], key_env="PEERS_KEY").whole()
        asked = {form_of(body) for body, _, _ in relay.stage_calls()}
    expected = {kept[0] if kept else None}
    check(asked == expected, f"JSON was asked for as {asked}; the server keeps to {kept}")
    check("demo is asked for JSON" in run.status(), f"status does not say how JSON is asked for: {run.status()}")


def a_full_context_ends_the_conversation(base):
    """A transcript that outgrows the context ends its conversation, which is told with the server's own words."""
    status, answer = say(base, "boat " * 2 * LITTLE_ROOM, PROXY_KEY)
    check(status == 400 and "context" in answer["error"]["message"], f"the server took too long a prompt: {answer}")
    settings = ["conversations.speaker_selection=round_robin", "conversations.turns.max=40", "situations.count=1"]
    with Relay(base) as relay:
        run = Run("context", relay.base, settings, key_env="PEERS_KEY").whole()
        reasons = [record["stop_reason"] for record in run.conversations()]
        short = [call for call in relay.calls if call[1] != 200 or call[2]["choices"][0]["finish_reason"] == "length"]
    check(short, "the context was never full")
    check(reasons == ["context_full"], f"the conversation ended as {reasons}: {run.err[-900:]}")
    check("context" in run.err and "conversations.turns.max" in run.err, f"nothing was told: {run.err[-900:]}")


def checks_of(server, name):
    """The checks of one server; it runs while they do, once with room and once with little."""
    def with_room(function, room=ROOM):
        def made():
            with server(room) as base:
                function(base)
        return made

    yield from ((f"{name}: a run in {strategy}", with_room(partial(a_run_in, strategy))) for strategy in STRATEGIES)
    for refused in ([], ["json_schema"], ["json_schema", "json_object with schema"]):
        told = f"{name}: JSON is asked for as the server keeps to it, with {' and '.join(refused) or 'nothing'} refused"
        yield told, with_room(partial(json_as_the_server_keeps_it, refused=refused))
    yield f"{name}: a full context ends the conversation", with_room(a_full_context_ends_the_conversation, LITTLE_ROOM)


if __name__ == "__main__":
    servers = [(bindings, "xllamacpp"), (proxied, "proxied")]
    chosen = sys.argv[1:]
    # llama.cpp's server wants no key and minds none.
    os.environ["PEERS_KEY"] = PROXY_KEY
    named = [pair for server, name in servers for pair in checks_of(server, name)]
    run_checks([(name, function) for name, function in named if all(word in name for word in chosen)])
