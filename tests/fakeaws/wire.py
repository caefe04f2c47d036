# SPDX-License-Identifier: Apache-2.0
"""HTTP on loopback, with what servers do to their clients: late, short, long, and dead connections."""
import http.server
import itertools
import socket
import struct
import threading
import time
import urllib.parse


class Answer:
    """What goes back. length: said in Content-Length instead of the true one. pace: (bytes, seconds) between pieces.
    after: what happens to the connection then: keep, close (said in a header), drop (closed unsaid) or reset."""

    def __init__(self, status=200, body=b"", headers=None, length=None, pace=None, after="keep"):
        self.status, self.body, self.headers = status, body, dict(headers or {})
        self.length, self.pace, self.after = length, pace, after

    def __repr__(self):
        return f"<Answer {self.status} {self.body[:200]!r}>"


class Request:
    """One request as it came; service, operation, params and verdict are filled in by whoever serves it."""

    def __init__(self, method, target, headers, body, number=0, connection=0):
        """headers: pairs of name and value."""
        self.method, self.target, self.body, self.headers = method, target, body, {}
        for name, value in headers:
            name = name.lower()
            self.headers[name] = f"{self.headers[name]},{value}" if name in self.headers else value
        self.number, self.connection, self.at = number, connection, time.monotonic()
        self.path, _, self.query = self.target.partition("?")
        self.args = dict(urllib.parse.parse_qsl(self.query, keep_blank_values=True))
        self.service = self.operation = ""
        self.params, self.key_id, self.principal = {}, None, None
        self.verdict, self.status, self.code = None, None, ""  # verdict: "ok", "unsigned", or what was wrong

    def __repr__(self):
        return f"<{self.number} {self.service}:{self.operation} {self.method} {self.target[:80]} {self.verdict} {self.status} {self.code}>"


class Wire:
    """serve(request) -> Answer, or None for a connection that is reset; called on a thread of the connection."""

    def __init__(self, serve, date):
        self.numbers, self.connections, self.lock = itertools.count(1), 0, threading.Lock()
        self.stopping = threading.Event()
        self.alive = set()
        wire = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60
            wbufsize = -1

            def setup(self):
                super().setup()
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with wire.lock:
                    wire.connections += 1
                    self.connection_number = wire.connections
                    wire.alive.add(self.connection)

            def finish(self):
                with wire.lock:
                    wire.alive.discard(self.connection)
                super().finish()

            def log_message(self, *args):
                pass

            def handle_expect_100(self):
                super().handle_expect_100()
                self.wfile.flush()
                return True

            def read_body(self):
                if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = b""
                while n := int(self.rfile.readline().split(b";")[0], 16):
                    body += self.rfile.read(n)
                    self.rfile.readline()
                while self.rfile.readline().strip():
                    pass
                return body

            def any_method(self):
                request = Request(self.command, self.path, self.headers.items(), self.read_body(), next(wire.numbers), self.connection_number)
                answer = serve(request)
                if answer is None:
                    return self.end("reset")
                request.status = answer.status
                self.send(answer, request)
                self.end(answer.after)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = any_method

            def send(self, answer, request):
                self.send_response_only(answer.status)
                headers = {"Date": date(), "Content-Length": str(len(answer.body) if answer.length is None else answer.length),
                           **answer.headers}
                if answer.after == "close":
                    headers["Connection"] = "close"
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                body = b"" if request.method == "HEAD" else answer.body
                step, rest = answer.pace or (len(body) or 1, 0)
                for i in range(0, len(body), step):
                    self.wfile.write(body[i:i + step])
                    self.wfile.flush()
                    if rest and wire.stopping.wait(rest):
                        break
                self.wfile.flush()

            def end(self, how):
                if how == "keep":
                    return
                self.close_connection = True
                if how == "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=lambda: self.server.serve_forever(0.05), daemon=True).start()

    def drop_all(self, reset=False):
        """Ends every connection that is open now, as a server or a box in between does to idle ones."""
        with self.lock:
            for c in list(self.alive):
                try:
                    if reset:
                        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        c.close()
                    else:
                        c.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()
