"""An endpoint that fails in the way its model's name says, to stand behind a proxy: upstream.py

Answers at the routes of OpenAI and of Azure OpenAI. What it fails at is what holds MARK, or every request for those
names that say nothing of a prompt. Prints its address and serves until it is ended.
"""

import json
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MARK = "ferry"
LONGEST = 3000
LINES = [
    "The roof has to come first, or we lose the boats.", "I could look at the engine on Saturday.",
    "What does the man in the harbour ask for it?", "My class needs two dry boats by May.",
    "Then let us ask the others before we spend anything.", "I would rather not borrow for that.",
    "We still have the boards from last year.", "That is more than I thought it would be.",
]
VERDICT = {"hate": {"filtered": False, "severity": "safe"}, "violence": {"filtered": True, "severity": "medium"}}


def error(http, message, kind, code, **more):
    return http, {"error": {"message": message, "type": kind, "param": None, "code": code, **more}}


def azure_filter():
    words = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": VERDICT}
    return error(400, words, None, "content_filter", status=400, innererror=inner)


def openai_filter():
    words = "Your request was rejected as a result of our safety system."
    return error(400, words, "invalid_request_error", "content_filter")


def quota():
    words = "You exceeded your current quota, please check your plan and billing details."
    return error(429, words, "insufficient_quota", "insufficient_quota")


def overflow():
    words = "This model's maximum context length is 1024 tokens. However, your messages resulted in 1100 tokens."
    return error(400, words, "invalid_request_error", "context_length_exceeded")


def gone():
    words = "The model `gone` does not exist or you do not have access to it."
    return error(404, words, "invalid_request_error", "model_not_found")


def completion(model, message, finish="stop", **more):
    usage = {"prompt_tokens": 40, "completion_tokens": 10, "total_tokens": 50}
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish, **more}
    return 200, {"id": "c", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage}


def answer(model, messages):
    text = json.dumps(messages)
    marked = MARK in text
    match model:
        case "azure-filter" if marked:
            return azure_filter()
        case "openai-filter" if marked:
            return openai_filter()
        case "empty-filter" if marked:
            return completion(model, {"content": None}, "content_filter", content_filter_results=VERDICT)
        case "refusal" if marked:
            return completion(model, {"content": None, "refusal": "I will not write this."})
        case "quota":
            return quota()
        case "gone":
            return gone()
        case "small" if len(text) > LONGEST:
            return overflow()
    return completion(model, {"content": LINES[zlib.crc32(text.encode()) % len(LINES)]})


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, reply = answer(asked["model"], asked["messages"])
        body = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
