# SPDX-License-Identifier: Apache-2.0
"""Instance metadata on loopback, version 2 alone: a token first, then pages that a test writes while the worker reads them."""
import http.server
import threading
import time


class Imds:
    TOKEN = "token-of-the-test=="

    def __init__(self, **pages):
        self.pages = {"instance-id": "i-0aaaabbbbccccdddd", "instance-type": "g5.xlarge", "instance-life-cycle": "spot",
                      "placement/availability-zone": "eu-central-1a", "placement/region": "eu-central-1",
                      "autoscaling/target-lifecycle-state": "InService", **pages}
        self.tokens = self.gets = self.refused = self.connections = 0
        self.hang = 0.0
        imds = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                imds.connections += 1

            def log_message(self, *args):
                pass

            def answer(self, status, text):
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_PUT(self):
                if self.path != "/latest/api/token" or "X-aws-ec2-metadata-token-ttl-seconds" not in self.headers:
                    return self.answer(400, "Bad Request")
                imds.tokens += 1
                self.answer(200, imds.TOKEN)

            def do_GET(self):
                time.sleep(imds.hang)
                imds.gets += 1
                if self.headers.get("X-aws-ec2-metadata-token") != imds.TOKEN:
                    imds.refused += 1
                    return self.answer(401, "Unauthorized")
                page = imds.pages.get(self.path.removeprefix("/latest/meta-data/"))
                if isinstance(page, int):
                    return self.answer(page, "as told")
                return self.answer(404, "Not Found") if page is None else self.answer(200, page)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
