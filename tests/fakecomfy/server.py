# SPDX-License-Identifier: Apache-2.0
"""The HTTP routes of ComfyUI that clients use, and its WebSocket."""
import dataclasses
import email.parser
import json
import mimetypes
import pathlib
import socket
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import nodes, ws
from .execute import Executor


@dataclasses.dataclass
class Script:
    """What goes wrong. Each may be set and cleared at any time."""
    answers: dict = dataclasses.field(default_factory=dict)  # path -> status, instead of what it would answer
    hangs: set = dataclasses.field(default_factory=set)      # paths that get no answer at all
    cuts: set = dataclasses.field(default_factory=set)       # paths whose answer breaks off in the middle of its body
    no_ws: bool = False          # the WebSocket's handshake gets 404
    ws_drops_after: int = 0      # each WebSocket is cut after so many messages
    ws_bytes: bytes = b""        # sent in the place of the first message
    mute_ws: bool = False        # messages are not sent
    old_history: bool = False    # entries without a status
    history_delay_s: float = 0   # between the end of a prompt and its entry
    forgets_cached_output: bool = False  # as old versions did
    holds_queue: bool = False    # nothing of the queue is begun
    other_name: str = ""         # what an upload is said to be called
    max_upload: int = 100 << 20


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    comfy = None

    def log_message(self, *args):
        pass

    # ---- answers ----

    def answer(self, status, body=b"", kind="text/plain"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:len(body) // 2] if self.route in self.comfy.script.cuts else body)
        if self.route in self.comfy.script.cuts:
            self.close_connection = True

    def answer_json(self, value, status=200):
        self.answer(status, json.dumps(value).encode(), "application/json; charset=utf-8")

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def body_json(self):
        return json.loads(self.body() or b"{}")

    # ---- routes ----

    def handle_one(self, routes):
        url = urllib.parse.urlsplit(self.path)
        self.query = {k: v[0] for k, v in urllib.parse.parse_qs(url.query, keep_blank_values=True).items()}
        self.route = "/" + url.path.split("/")[1] if url.path.startswith("/history/") else url.path
        self.rest = url.path[len(self.route) + 1:]
        script = self.comfy.script
        self.comfy.requests.append((self.command, self.path))
        if self.route in script.hangs:
            self.comfy.ended.wait(60)
            self.close_connection = True
        elif self.route in script.answers:
            self.body()
            self.answer(script.answers[self.route], b"scripted")
        elif self.route in routes:
            routes[self.route](self)
        else:
            self.body()
            self.answer(404, b"404: Not Found")

    def do_GET(self):
        self.handle_one({"/ws": Handler.websocket, "/system_stats": Handler.stats, "/queue": Handler.queue, "/history": Handler.history, "/view": Handler.view})

    do_HEAD = do_GET

    def do_POST(self):
        self.handle_one({"/prompt": Handler.prompt, "/upload/image": Handler.upload, "/queue": Handler.change_queue,
                         "/interrupt": Handler.interrupt, "/free": Handler.free, "/history": Handler.change_history})

    def stats(self):
        self.answer_json({"system": {"os": "posix", "comfyui_version": "0.3.0"}, "devices": [{"name": "cpu", "type": "cpu", "index": None}]})

    def queue(self):
        x = self.comfy.executor
        self.answer_json({"queue_running": [list(x.running)] if x.running else [], "queue_pending": [list(i) for i in x.pending]})

    def change_queue(self):
        for id in self.body_json().get("delete", []):
            self.comfy.executor.delete(id)
        self.answer(200)

    def history(self):
        all = self.comfy.executor.history
        self.answer_json({self.rest: all[self.rest]} if self.rest in all else all if not self.rest else {})

    def change_history(self):
        for id in self.body_json().get("delete", []):
            self.comfy.executor.history.pop(id, None)
        self.answer(200)

    def interrupt(self):
        self.comfy.executor.interrupt(self.body_json().get("prompt_id"))
        self.answer(200)

    def free(self):
        body = self.body_json()
        self.comfy.freed.append(body)
        if body.get("free_memory"):
            self.comfy.executor.cache.clear()
        self.answer(200)

    def prompt(self):
        body = self.body_json()
        if "prompt" not in body:
            self.answer_json({"error": "no prompt", "node_errors": []}, 400)
            return
        outputs, error, node_errors = nodes.validate(self.comfy, body["prompt"])
        extra = {**body.get("extra_data", {}), **({"client_id": body["client_id"]} if "client_id" in body else {})}
        self.comfy.prompts.append(body)
        if error:
            self.answer_json({"error": error, "node_errors": node_errors}, 400)
            return
        executor = self.comfy.executor
        with executor.changed:  # nothing is begun before its client has the answer: a node that dies would cut that off
            item = executor.put(body["prompt"], extra, outputs)
            self.answer_json({"prompt_id": item[1], "number": item[0], "node_errors": node_errors})

    # ---- files ----

    def upload(self):
        n = int(self.headers.get("Content-Length", 0))
        if n > self.comfy.script.max_upload:
            self.answer(413, b"Maximum request body size exceeded")
            self.close_connection = True
            return
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts = email.parser.BytesParser().parsebytes(head + self.rfile.read(n)).get_payload()
        form = {p.get_param("name", header="Content-Disposition"): p for p in parts}
        text = lambda key: form[key].get_payload() if key in form else ""
        name = form["image"].get_filename() if "image" in form else None
        path = name and nodes.safe(self.comfy.dir / (text("type") or "input"), text("subfolder"), name)
        if not path or (path.exists() and text("overwrite") not in ("true", "1")):
            self.answer(400)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(form["image"].get_payload(decode=True))
        self.comfy.uploads.append(name)
        self.answer_json({"name": self.comfy.script.other_name or name, "subfolder": text("subfolder"), "type": text("type") or "input"})

    def view(self):
        type = self.query.get("type", "output")
        path = type in ("input", "output", "temp") and nodes.safe(self.comfy.dir / type, self.query.get("subfolder", ""), self.query.get("filename", ""))
        if not path or not path.is_file():
            self.answer(404)
            return
        self.answer(200, path.read_bytes(), mimetypes.guess_type(path.name)[0] or "application/octet-stream")

    # ---- the WebSocket ----

    def websocket(self):
        key = self.headers.get("Sec-WebSocket-Key")
        if self.comfy.script.no_ws or not key or self.headers.get("Sec-WebSocket-Version") != "13":
            self.answer(404 if self.comfy.script.no_ws else 400)
            return
        self.send_response(101)
        for name, value in (("Upgrade", "websocket"), ("Connection", "upgrade"), ("Sec-WebSocket-Accept", ws.accept(key))):
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        s = ws.Socket(self.connection, self.rfile)
        s.sent = 0
        sid = self.query.get("clientId") or "nobody"
        self.comfy.sockets[sid] = s
        self.comfy.all_sockets.append(s)
        self.comfy.send("status", {"status": {"exec_info": {"queue_remaining": self.comfy.executor.remaining()}}, "sid": sid}, sid)
        s.serve()
        if self.comfy.sockets.get(sid) is s:
            del self.comfy.sockets[sid]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, *args):
        self.connections = set()
        super().__init__(*args)

    def get_request(self):
        connection, address = super().get_request()
        self.connections.add(connection)
        return connection, address

    def handle_error(self, request, address):
        pass  # a client that went away

    def shutdown_request(self, request):
        self.connections.discard(request)
        super().shutdown_request(request)


class FakeComfy:
    def __init__(self, dir):
        self.dir = pathlib.Path(dir)
        for name in ("input", "output", "temp"):
            (self.dir / name).mkdir(parents=True, exist_ok=True)
        self.script = Script()
        # Bound and never listening: the port stays ours while we are dead, and connecting to it is refused.
        self.holder = socket.socket()
        self.holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.holder.bind(("127.0.0.1", 0))
        self.port = self.holder.getsockname()[1]
        self.server, self.executor = None, None
        self.alive = False
        self.forget()

    def forget(self):
        """Empties what is remembered for tests to look at."""
        self.requests, self.prompts, self.uploads, self.freed, self.all_sockets = [], [], [], [], []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        self.sockets, self.ended = {}, threading.Event()
        self.executor = Executor(self)
        self.server = Server(("127.0.0.1", self.port), type("H", (Handler,), {"comfy": self}))
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.executor.start()
        self.alive = True
        return self

    def die(self):
        """Breaks every connection and forgets queue, history and cache. May be called by a node."""
        server, self.server = self.server, None
        if not server:
            return
        self.executor.die()
        self.ended.set()
        server.shutdown()
        server.server_close()
        for c in list(server.connections):
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.alive = False

    def asked(self, method, route):
        return [p for m, p in self.requests if m == method and p.split("?")[0].startswith(route)]

    # ---- messages ----

    def send(self, kind, data, sid):
        """To one client, or (None) to all."""
        text = json.dumps({"type": kind, "data": data})
        for s in list(self.sockets.values()) if sid is None else [self.sockets[sid]] if sid in self.sockets else []:
            self.send_one(s, text)

    def send_one(self, s, text):
        s.sent += 1
        if self.script.mute_ws:
            return
        if self.script.ws_bytes and s.sent == 1:
            s.connection.sendall(self.script.ws_bytes)
            return
        s.send_text(text)
        if self.script.ws_drops_after and s.sent >= self.script.ws_drops_after:
            try:
                s.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def send_binary(self, data, sid):
        if sid in self.sockets and not self.script.mute_ws:
            self.sockets[sid].send(ws.BINARY, data)
