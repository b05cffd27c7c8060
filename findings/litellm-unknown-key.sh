#!/usr/bin/env bash
# LiteLLM proxy 1.106.12 without a database answers a wrong key with 400, not with 401.
#
# A proxy that has a master key and no database (the usual small set-up) knows that one key. A request with another key gets
# 400 {"error": {"message": "No connected db.", "type": "no_db_connection", "param": null, "code": "400"}}: no 401, and not a
# word about the key. A client that takes 400 for "this request is wrong" looks for the fault in the prompt.
#
# Seen on 2026-11-28: another key: 400 "No connected db."; the master key: 200.
#
# Exits 0 if it is so, 1 if it has changed. Needs Python 3.11 with pip; installs into a temporary folder, uses loopback only.
set -euo pipefail
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --only-binary :all: 'litellm[proxy]==1.106.12'
port=$(venv/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
# `mock_response` answers in the proxy itself: nothing stands behind it.
cat >proxy.yaml <<'YAML'
model_list: [{model_name: m, litellm_params: {model: openai/m, api_key: none, mock_response: "Good morning."}}]
general_settings: {master_key: sk-local}
YAML
LITELLM_LOCAL_MODEL_COST_MAP=True venv/bin/litellm --config proxy.yaml --host 127.0.0.1 --port "$port" --telemetry False >proxy.log 2>&1 &

venv/bin/python - "$port" <<'PY'
import json, sys, time, urllib.error, urllib.request

def call(key):
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Good morning."}]}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    request = urllib.request.Request(f"http://127.0.0.1:{sys.argv[1]}/v1/chat/completions", body, headers)
    try:
        return urllib.request.urlopen(request, timeout=60).status, ""
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()

for _ in range(240):
    try:
        right = call("sk-local")
        break
    except OSError:
        time.sleep(0.5)
else:
    sys.exit("the proxy did not start")
other = call("sk-of-somebody-else")
print("another key:", *other, "\nthe master key:", *right)
same = other[0] == 400 and "No connected db" in other[1] and right[0] == 200
sys.exit(0 if same else "it is no longer so")
PY
