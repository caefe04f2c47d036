# SPDX-License-Identifier: Apache-2.0
"""An S3 on loopback that misbehaves as a test tells it: objects in memory, faults taken from a list, one per request."""
import base64
import collections
import hashlib
import http.server
import re
import socket
import struct
import threading
import time
import urllib.parse

import crc32c

Seen = collections.namedtuple("Seen", "method path query headers")


class ScriptedS3:
    """faults: functions (handler, body) -> True when they answered; each is used once, for the first request it is for."""

    def __init__(self):
        self.objects, self.uploads, self.seen, self.faults = {}, {}, [], []
        self.lock, self.connections = threading.Lock(), 0
        s3 = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def setup(self):
                super().setup()
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with s3.lock:
                    s3.connections += 1

            def log_message(self, *args):
                pass

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                url = urllib.parse.urlsplit(self.path)
                self.key = urllib.parse.unquote(url.path).split("/", 2)[2] if url.path.count("/") > 1 else ""
                self.args = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
                with s3.lock:
                    s3.seen.append(Seen(self.command, url.path, self.args, dict((k.lower(), v) for k, v in self.headers.items())))
                    fault = next((f for f in s3.faults if f.wants(self)), None)
                    if fault:
                        s3.faults.remove(fault)
                if fault and fault.act(self, body):
                    return
                s3.serve(self, body)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

            def answer(self, status, body=b"", headers=None, length=None):
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body) if length is None else length))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def error(self, status, code, message="as told", more="", headers=None):
                self.answer(status, f"<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{more}"
                            "<RequestId>R1</RequestId></Error>".encode(), {"Content-Type": "application/xml", **(headers or {})})

            def cut(self):
                """Ends the connection with a reset."""
                self.wfile.flush()
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def count(self, method, having=None):
        return sum(1 for s in self.seen if s.method == method and (having is None or having in s.query))

    # ---- what a bucket does ----

    def serve(self, h, body):
        verb = (h.command, "uploads" in h.args, "uploadId" in h.args, "partNumber" in h.args)
        with self.lock:
            if h.command == "PUT" and verb[3]:
                return self.put_part(h, body)
            if h.command == "PUT":
                return self.put(h, body)
            if h.command == "POST" and verb[1]:
                id = f"up/{len(self.uploads) + 1}+="
                self.uploads[id] = {}
                return h.answer(200, f"<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>".encode())
            if h.command == "POST":
                return self.complete(h, body)
            if h.command == "DELETE":
                self.uploads.pop(h.args.get("uploadId"), None)
                return h.answer(204)
            if h.command == "GET" and verb[2]:
                return self.list_parts(h)
            return self.get(h)

    @staticmethod
    def etag(data):
        return f'"{hashlib.md5(data).hexdigest()}"'

    @staticmethod
    def damaged(h, body):
        want = h.headers.get("x-amz-checksum-crc32c")
        return want is not None and want != base64.b64encode(crc32c.crc32c(body).to_bytes(4, "big")).decode()

    def put(self, h, body):
        if self.damaged(h, body):
            return h.error(400, "BadDigest")
        self.objects[h.key] = body
        h.answer(200, headers={"ETag": self.etag(body)})

    def put_part(self, h, body):
        if h.args["uploadId"] not in self.uploads:
            return h.error(404, "NoSuchUpload")
        if self.damaged(h, body):
            return h.error(400, "BadDigest")
        self.uploads[h.args["uploadId"]][int(h.args["partNumber"])] = body
        h.answer(200, headers={"ETag": self.etag(body)})

    def list_parts(self, h):
        parts = self.uploads.get(h.args["uploadId"])
        if parts is None:
            return h.error(404, "NoSuchUpload")
        text = "".join(f"<Part><PartNumber>{n}</PartNumber><Size>{len(b)}</Size><ETag>{self.etag(b)}</ETag></Part>"
                       for n, b in sorted(parts.items()) if n > int(h.args.get("part-number-marker", 0)))
        h.answer(200, f"<ListPartsResult><IsTruncated>false</IsTruncated>{text}</ListPartsResult>".encode())

    def complete(self, h, body):
        parts = self.uploads.get(h.args["uploadId"])
        if parts is None:
            return h.error(404, "NoSuchUpload")
        numbers = [int(n) for n in re.findall(rb"<PartNumber>(\d+)</PartNumber>", body)]
        data = b"".join(parts[n] for n in numbers)
        if self.damaged(h, data):
            return h.error(400, "BadDigest")
        self.objects[h.key] = data
        del self.uploads[h.args["uploadId"]]
        h.answer(200, b"<CompleteMultipartUploadResult><ETag>\"x-1\"</ETag></CompleteMultipartUploadResult>")

    def get(self, h):
        data = self.objects.get(h.key)
        if data is None:
            return h.error(404, "NoSuchKey")
        match = h.headers.get("If-Match")
        if match and match != self.etag(data):
            return h.error(412, "PreconditionFailed")
        headers = {"ETag": self.etag(data), "Last-Modified": "Sat, 31 Jan 2026 12:00:00 GMT", "Content-Type": "video/mp4"}
        wanted = h.headers.get("Range")
        if wanted:
            first = int(re.match(r"bytes=(\d+)-", wanted).group(1))
            return h.answer(206, data[first:], {**headers, "Content-Range": f"bytes {first}-{len(data) - 1}/{len(data)}"})
        h.answer(200, data, headers)


class Fault:
    """One misbehaviour, for the first request with this method (and, if given, this query argument)."""

    def __init__(self, method, act, having=None):
        self.method, self.having, self.fn = method, having, act

    def wants(self, h):
        return h.command == self.method and (self.having is None or self.having in h.args)

    def act(self, h, body):
        self.fn(h, body)
        return True


def says(status, code, **kw):
    return lambda h, body: h.error(status, code, **kw)


def truncated(s3, after):
    """The head of the whole answer and some of its body, then the connection ends."""
    def act(h, body):
        data = s3.objects[h.key]
        first = int(h.headers["Range"][6:-1]) if "Range" in h.headers else 0
        h.answer(206 if first else 200, data[first:first + after], {"ETag": s3.etag(data)}, length=len(data) - first)
        h.close_connection = True
    return act


def hangs_up(h, body):
    h.cut()


def sleeps(seconds):
    def act(h, body):
        time.sleep(seconds)
        h.cut()
    return act
