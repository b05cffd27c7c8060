#!/usr/bin/env bash
# LiteLLM proxy 1.106.12 moves a refusal to where no client of the protocol looks for it.
#
# An OpenAI model that declines answers 200 with `choices[0].message` = {"content": null, "refusal": "I will not ..."} and
# finish_reason "stop". Behind the proxy (provider openai, chat completions, no streaming) the key `refusal` is gone from the
# message: the words stand in `choices[0].message.provider_specific_fields.refusal`, content stays null and finish_reason
# stays "stop". A client that knows the protocol sees a successful reply with no text, no tool call and no reason.
#
# Seen on 2026-11-28:
#   message: {"role": "assistant", "provider_specific_fields": {"refusal": "I will not write this."}, "content": null}
#
# Exits 0 if it is so, 1 if it has changed. Needs Python 3.11 with pip; installs into a temporary folder, uses loopback only.
set -euo pipefail
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --only-binary :all: 'litellm[proxy]==1.106.12'

cat >upstream.py <<'PY'
import json
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        message = {"role": "assistant", "content": None, "refusal": "I will not write this."}
        body = json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
                           "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                           "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = HTTPServer(("127.0.0.1", 0), Handler)
open("port.new", "w").write(str(server.server_port))
__import__("os").rename("port.new", "port")
server.serve_forever()
PY
venv/bin/python upstream.py 2>upstream.log &
until [ -f port ]; do sleep 0.2; done
port=$(venv/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >proxy.yaml <<YAML
model_list: [{model_name: m, litellm_params: {model: openai/m, api_base: "http://127.0.0.1:$(cat port)/v1", api_key: none}}]
general_settings: {master_key: sk-local}
YAML
LITELLM_LOCAL_MODEL_COST_MAP=True venv/bin/litellm --config proxy.yaml --host 127.0.0.1 --port "$port" --telemetry False >proxy.log 2>&1 &

venv/bin/python - "$port" <<'PY'
import json, sys, time, urllib.request

def call():
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Write it."}]}).encode()
    headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-local"}
    request = urllib.request.Request(f"http://127.0.0.1:{sys.argv[1]}/v1/chat/completions", body, headers)
    return json.loads(urllib.request.urlopen(request, timeout=60).read())

for _ in range(240):
    try:
        choice = call()["choices"][0]
        break
    except OSError:
        time.sleep(0.5)
else:
    sys.exit("the proxy did not start")
print(json.dumps(choice))
message = choice["message"]
same = (
    "refusal" not in message
    and message["content"] is None
    and choice["finish_reason"] == "stop"
    and message["provider_specific_fields"]["refusal"] == "I will not write this."
)
sys.exit(0 if same else "it is no longer so")
PY
