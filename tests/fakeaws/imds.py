# SPDX-License-Identifier: Apache-2.0
"""Instance metadata, version 2 alone: tokens that end, a role whose credentials are renewed, and pages that a test writes.

For the script its service is "imds" and its operations are "token" and the page's path.
"""
import json
import secrets

from .errors import AwsError
from .wire import Answer, Wire

META = "/latest/meta-data/"
ROLES = "iam/security-credentials/"


class Imds:
    """pages: path under /latest/meta-data/ -> text, or a status. role: None is no role. role_seconds: the life of a set;
    renew_seconds: a set that ends within that is replaced by the next when it is read."""

    def __init__(self, aws, **pages):
        self.aws, self.tokens = aws, {}
        self.role, self.role_seconds, self.renew_seconds, self.keys = "bpd-controller", 21600, 300, None
        self.pages = {"instance-id": "i-0aaaabbbbccccdddd", "instance-type": "g5.xlarge", "instance-life-cycle": "spot",
                      "placement/availability-zone": aws.region + "a", "placement/region": aws.region,
                      "autoscaling/target-lifecycle-state": "InService", **pages}
        self.wire = Wire(self.serve, aws.clock.http)
        self.url = self.wire.url

    def gets(self):
        """How many pages were asked for."""
        return sum(r.operation != "token" for r in self.aws.requests("imds"))

    def close(self):
        self.wire.close()

    def serve(self, request):
        request.service, request.verdict = "imds", "unsigned"
        request.operation = "token" if request.path == "/latest/api/token" else request.path.removeprefix(META)
        with self.aws.lock:
            self.aws.seen.append(request)
        return self.aws.act(request, "plain", lambda: self.proceed(request))

    def proceed(self, request):
        with self.aws.lock:
            if request.operation == "token":
                return self.token(request)
            if self.tokens.get(request.headers.get("x-aws-ec2-metadata-token"), 0) <= self.aws.clock.now():
                raise AwsError("Unauthorized", "Unauthorized", 401)
            return self.page(request.operation)

    def token(self, request):
        seconds = request.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
        if request.method != "PUT" or not seconds.isdigit() or not 1 <= int(seconds) <= 21600:
            raise AwsError("BadRequest", "Bad Request", 400)
        token = secrets.token_urlsafe(40) + "=="
        self.tokens[token] = self.aws.clock.now() + int(seconds)
        return Answer(200, token.encode(), {"Content-Type": "text/plain", "X-aws-ec2-metadata-token-ttl-seconds": seconds})

    def page(self, path):
        if self.role and path == ROLES:
            return Answer(200, self.role.encode(), {"Content-Type": "text/plain"})
        if self.role and path == ROLES + self.role:
            return Answer(200, json.dumps(self.credentials()).encode(), {"Content-Type": "text/plain"})
        page = self.pages.get(path)
        if page is None or isinstance(page, int):
            raise AwsError("NotFound", "Not Found", page or 404)
        return Answer(200, page.encode(), {"Content-Type": "text/plain"})

    def credentials(self):
        now, role = self.aws.clock.now(), f"assumed-role/{self.role}/"
        if not self.keys or self.keys.expires - now < self.renew_seconds or role not in self.keys.principal:
            self.keys = self.aws.identity.issue(self.role, self.role_seconds)
        k = self.keys
        return {"Code": "Success", "LastUpdated": self.aws.clock.iso(), "Type": "AWS-HMAC", "AccessKeyId": k.id, "SecretAccessKey": k.secret,
                "Token": k.token, "Expiration": self.aws.clock.iso(k.expires)}
