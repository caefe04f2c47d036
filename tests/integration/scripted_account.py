# SPDX-License-Identifier: Apache-2.0
"""An AWS account on loopback, as far as credentials and doctor ask it: STS, a bucket, a parameter, and where containers
find their role. It gives sets of credentials away, knows which are good, and tells who called with which."""
import http.server
import json
import re
import ssl
import threading
import time
import urllib.parse


def when(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


class Account:
    SECRET = "secretOfAllSetsOfTheTest"

    def __init__(self, region="eu-central-1", life=3600, tls=None):
        self.region, self.life = region, life
        self.lock = threading.Lock()
        self.sets, self.revoked = {}, set()  # id -> end
        self.given = 0
        self.calls = []       # (operation, key id, headers, form)
        self.denied = set()   # operations
        self.no_bucket = self.no_parameter = False
        self.container_status, self.container_token = 200, None
        self.parameters, self.images = {}, set()
        self.hang = {}        # operation -> seconds
        self.skew = 0         # of the account's clock, seconds
        account = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def date_time_string(self, timestamp=None):
                return super().date_time_string(time.time() + account.skew)

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode(errors="replace")
                account.serve(self, body)

            do_GET = do_HEAD = do_PUT = do_POST = handle_any

            def answer(self, status, body="", headers=None):
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body.encode())

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    # ---- sets ----

    def make(self, life=None):
        """A new set: (id, secret, token, end)."""
        with self.lock:
            self.given += 1
            id, life = f"ASIASET{self.given}", self.life if life is None else life
            self.sets[id] = time.time() + life
        return id, self.SECRET, f"token-of-{id}", when(life)

    def made_of(self, id):
        return id, self.SECRET, f"token-of-{id}", when(self.sets[id] - time.time())

    def called(self, operation):
        return [c for c in self.calls if c[0] == operation]

    # ---- answers ----

    def serve(self, h, body):
        url = urllib.parse.urlsplit(h.path)
        if url.path == "/container":
            return self.container(h)
        target = h.headers.get("X-Amz-Target", "").rpartition(".")[2]
        form = json.loads(body) if target else dict(urllib.parse.parse_qsl(body)) if h.command == "POST" else {}
        operation = form.get("Action") or target or {"HEAD": "HeadBucket" if url.path.count("/") == 1 else "HeadObject", "PUT": "PutObject",
                                                     "GET": "GetObject"}[h.command]
        scope = re.search(r"Credential=([^/]+)/\d+/([^/]+)/", h.headers.get("Authorization", ""))
        id, region = scope.groups() if scope else (None, None)
        self.calls.append((operation, id, dict((k.lower(), v) for k, v in h.headers.items()), form))
        time.sleep(self.hang.get(operation, 0))
        wrong = self.refusal(operation, id, h)
        if wrong:
            return self.error(h, operation, target, 403, *wrong)
        if operation in ("HeadBucket", "HeadObject", "PutObject", "GetObject") and region != self.region:
            return self.error(h, operation, target, 301, "PermanentRedirect", "elsewhere", {"x-amz-bucket-region": self.region})
        getattr(self, "do_" + operation)(h, form)

    def refusal(self, operation, id, h):
        if operation == "AssumeRoleWithWebIdentity":
            return None
        if operation in self.denied:
            return "AccessDenied", f"not authorized to perform {operation}"
        if id and id.startswith("ASIA"):
            if h.headers.get("X-Amz-Security-Token") != f"token-of-{id}" or id not in self.sets:
                return "InvalidClientTokenId", "unknown"
            if id in self.revoked or self.sets[id] < time.time():
                return "ExpiredToken", "The provided token has expired."
        return None if id else ("MissingAuthenticationToken", "unsigned")

    @staticmethod
    def error(h, operation, target, status, code, message, headers=None):
        if target:
            return h.answer(400, json.dumps({"__type": code, "message": message}), headers)
        inner = f"<Code>{code}</Code><Message>{message}</Message>"
        if operation.endswith(("Bucket", "Object")):
            return h.answer(status, f"<Error>{inner}</Error>", headers)
        h.answer(status, f"<ErrorResponse><Error>{inner}</Error><RequestId>R1</RequestId></ErrorResponse>", headers)

    def container(self, h):
        self.calls.append(("container", None, dict((k.lower(), v) for k, v in h.headers.items()), {}))
        time.sleep(self.hang.get("container", 0))
        if self.container_token and h.headers.get("Authorization") != self.container_token:
            return h.answer(403)
        if self.container_status != 200:
            return h.answer(self.container_status, "as told")
        id, secret, token, end = self.make()
        h.answer(200, json.dumps({"AccessKeyId": id, "SecretAccessKey": secret, "Token": token, "Expiration": end, "RoleArn": "r"}))

    def give(self, h, operation):
        id, secret, token, end = self.make()
        h.answer(200, f"<{operation}Response><{operation}Result><Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}"
                 f"</SecretAccessKey><SessionToken>{token}</SessionToken><Expiration>{end}</Expiration></Credentials></{operation}Result>"
                 f"</{operation}Response>")

    def do_AssumeRole(self, h, form):
        self.give(h, "AssumeRole")

    def do_AssumeRoleWithWebIdentity(self, h, form):
        self.give(h, "AssumeRoleWithWebIdentity")

    def do_GetCallerIdentity(self, h, form):
        h.answer(200, "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::123456789012:assumed-role/bpd/x</Arn>"
                 "<Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>")

    def do_HeadBucket(self, h, form):
        h.answer(404 if self.no_bucket else 200, headers={"x-amz-bucket-region": self.region})

    def do_HeadObject(self, h, form):
        h.answer(200, headers={"Last-Modified": h.date_time_string()})

    def do_PutObject(self, h, form):
        h.answer(200, headers={"ETag": '"x"'})

    def do_DescribeAutoScalingGroups(self, h, form):
        h.answer(200, "<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups/>"
                 "</DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>")

    def do_DescribeImages(self, h, form):
        if form["ImageId.1"] in self.images:
            return h.answer(200, f"<DescribeImagesResponse><imagesSet><item><imageId>{form['ImageId.1']}</imageId><imageState>available"
                            "</imageState><rootDeviceName>/dev/xvda</rootDeviceName></item></imagesSet></DescribeImagesResponse>")
        h.answer(400, "<Response><Errors><Error><Code>InvalidAMIID.NotFound</Code><Message>no</Message></Error></Errors>"
                 "<RequestID>R1</RequestID></Response>")

    def do_GetParameter(self, h, form):
        name = form["Name"]
        if self.no_parameter or (name not in self.parameters and not name.endswith("/fleet-secret")):
            return self.error(h, "GetParameter", "ssm", 400, "ParameterNotFound", "")
        h.answer(200, json.dumps({"Parameter": {"Name": "n", "Type": "SecureString", "Value": self.parameters.get(name, "value-of-the-fleet-secret")}}))
