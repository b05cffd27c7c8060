#!/usr/bin/env bash
# LiteLLM proxy 1.106.12 says that a model is not there once, and then for five seconds that there are too many requests.
#
# An upstream that answers every call with 404 and the code `model_not_found` is answered with 404 by the proxy as well, the first
# time. For that one answer the proxy takes its only deployment of the model out of service: the next calls are answered with
# 429 by the proxy alone, without asking the upstream, and with a hint to try again in five seconds. A client that retries 429, as all
# do, waits and asks again for a model that will never be there, and one that begins while another's 404 is fresh never
# sees the reason at all.
#
# Seen on 2026-11-29:
#   statuses: [404, 429, 429], calls at the upstream: 1
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
        body = json.dumps({"error": {"message": "The model `m` does not exist", "type": "invalid_request_error",
                                     "param": None, "code": "model_not_found"}}).encode()
        with open("calls", "a") as calls:
            calls.write("x")
        self.send_response(404)
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
model_list: [{model_name: m, litellm_params: {model: openai/m, api_base: "http://127.0.0.1:$(cat port)/v1", api_key: none, max_retries: 0}}]
general_settings: {master_key: sk-local}
YAML
LITELLM_LOCAL_MODEL_COST_MAP=True venv/bin/litellm --config proxy.yaml --host 127.0.0.1 --port "$port" --telemetry False >proxy.log 2>&1 &

venv/bin/python - "$port" <<'PY'
import json, sys, time, urllib.error, urllib.request

def call():
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hello."}]}).encode()
    headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-local"}
    request = urllib.request.Request(f"http://127.0.0.1:{sys.argv[1]}/v1/chat/completions", body, headers)
    try:
        return urllib.request.urlopen(request, timeout=60).status, ""
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()

for _ in range(240):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/health/liveliness", timeout=5)
        break
    except OSError:
        time.sleep(0.5)
else:
    sys.exit("the proxy did not start")
answers = [call() for _ in range(3)]
statuses, asked = [status for status, _ in answers], len(open("calls").read())
print(f"statuses: {statuses}, calls at the upstream: {asked}")
print(answers[1][1][:400])
sys.exit(0 if statuses == [404, 429, 429] and asked == 1 else "it is no longer so")
PY
