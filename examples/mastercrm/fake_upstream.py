#!/usr/bin/env python3
"""What MasterCRM calls and this machine has not: a language model, and servers that take webhooks.

usage: fake_upstream.py [PORT]    (default 8090; 0 takes a free one, which the first line of output tells)

POST /v1/chat/completions answers as a language model would, after a while. POST /hooks/... takes a webhook; /hooks/gone
is a subscriber who has left. POST /control changes what it does, for experiments:
{"llm_status": 500, "llm_seconds": 0.2, "hook_status": 503, "hook_seconds": 1}.
"""
import http.server
import json
import sys
import time

behaviour = {"llm_status": 200, "llm_seconds": 0.18, "hook_status": 204, "hook_seconds": 0.0}
MODELS = {"crm-small"}


class Upstream(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        if self.path == "/control":
            behaviour.update(body)
            self.answer(200, behaviour)
        elif self.path == "/v1/chat/completions":
            self.answer(*self.complete(body))
        elif self.path.startswith("/hooks/"):
            time.sleep(behaviour["hook_seconds"])
            self.answer(410 if self.path == "/hooks/gone" else behaviour["hook_status"])
        else:
            self.answer(404)

    def complete(self, body):
        if body["model"] not in MODELS:
            return 404, {"error": {"message": f"the model {body['model']} does not exist"}}
        time.sleep(behaviour["llm_seconds"])
        if behaviour["llm_status"] != 200:
            return behaviour["llm_status"], {"error": {"message": "overloaded"}}
        asked = body["messages"][-1]["content"].split()
        answer = ["Thank", "you", "for", "your", "message", "about"] + asked[:3]
        return 200, {"choices": [{"message": {"role": "assistant", "content": " ".join(answer)}}],
                     "usage": {"prompt_tokens": len(asked), "completion_tokens": len(answer)}}

    def answer(self, status, body=None):
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256


if __name__ == "__main__":
    if len(sys.argv) > 2 or sys.argv[1:2] == ["--help"]:
        sys.exit(__doc__)
    server = Server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) == 2 else 8090), Upstream)
    print(f"fake_upstream: serves http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()
