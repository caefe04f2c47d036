# SPDX-License-Identifier: Apache-2.0
"""moto with its signature check on, every call recorded, and presigned URLs checked where moto does not."""
import io
import json
import logging
import re
import threading
import urllib.parse
import urllib.request

import boto3
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from moto import settings
from moto.core.authorization import ActionAuthenticatorMixin
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from fakeaws import sigv4
from fakeaws.clock import Clock
from fakeaws.identity import Keys
from fakeaws.s3 import S3
from fakeaws.service import JsonService, Service
from fakeaws.wire import Request

REGION, ACCOUNT = "eu-central-1", "123456789012"
ALL = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
PARSERS = {"s3": S3(None), "ssm": JsonService(None), "logs": JsonService(None), "secretsmanager": JsonService(None)}


class Recorder:
    """A WSGI application before moto's."""

    def __init__(self, app, keys):
        self.app, self.keys, self.clock, self.seen, self.refused, self.lock = app, keys, Clock(), [], [], threading.Lock()

    def __call__(self, environ, start):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        request = Request(environ["REQUEST_METHOD"], environ.get("RAW_URI") or environ["REQUEST_URI"], self.headers(environ), body)
        if not request.path.startswith("/moto-api"):
            problem = self.judge(request)
            with self.lock:
                self.seen.append(request)
                if problem:
                    self.refused.append((request, problem))
            if problem:
                start("403 Forbidden", [("Content-Type", "text/plain")])
                return [problem.encode()]
            if "X-Amz-Signature" in request.args:
                self.sign_url_again(environ, request)
            elif request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
                self.sign_form_again(environ, request)
        return self.app(environ, start)

    @staticmethod
    def headers(environ):
        out = [(k[5:].replace("_", "-"), v) for k, v in environ.items() if k.startswith("HTTP_")]
        return out + [(k.replace("_", "-"), environ[k]) for k in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(k)]

    def judge(self, request):
        scope = re.search(r"/([a-z0-9-]+)/aws4_request", request.headers.get("authorization", "") + request.args.get("X-Amz-Credential", ""))
        request.service = scope[1] if scope else ""
        PARSERS.get(request.service, Service(None)).parse(request)
        try:
            claim = sigv4.check(request, self.keys.get, self.clock.now())
        except sigv4.Refused as e:
            return f"{e.kind}: {e}"
        return None if claim else "not signed"

    def sign(self, environ, request, signer, query, body):
        keys, host = self.keys[request.key_id], request.headers["host"]
        r = AWSRequest(request.method, f"http://{host}{request.path}", params=dict(query), data=body, headers={"Host": host})
        if "content-type" in request.headers:
            r.headers["Content-Type"] = request.headers["content-type"]
        signer(Credentials(keys.id, keys.secret, keys.token or None), request.service, REGION).add_auth(r)
        for name, value in r.headers.items():
            environ["HTTP_" + name.upper().replace("-", "_")] = value

    def sign_url_again(self, environ, request):
        """moto knows no presigned URLs: the same request, signed in its headers by the same keys."""
        rest = [(k, v) for k, v in urllib.parse.parse_qsl(request.query, keep_blank_values=True) if not k.startswith("X-Amz-")]
        self.sign(environ, request, S3SigV4Auth, rest, request.body)
        environ["QUERY_STRING"] = urllib.parse.urlencode(rest)
        environ["RAW_URI"] = environ["REQUEST_URI"] = request.path + ("?" + environ["QUERY_STRING"] if rest else "")

    def sign_form_again(self, environ, request):
        """moto hashes the form as Python would have written it, not the body that came: one that differs is written so."""
        body = urllib.parse.urlencode(urllib.parse.parse_qsl(request.body.decode(), keep_blank_values=True)).encode()
        if body != request.body:
            self.sign(environ, request, SigV4Auth, [], body)
            environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))


class Moto:
    """The server, roles bpd-<stage>-controller and -worker, and clients of its own user: moto.client("s3")."""

    def __init__(self, stage):
        self.keys = {}
        self.recorder = Recorder(DomainDispatcherApplication(create_backend_app), self.keys)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.server = make_server("127.0.0.1", 0, self.recorder, True, request_handler=MotoRequestHandler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.user = self.add(Keys("AKIAFIRSTFIRSTFIRST1", "first", "the tests"))
        iam = self.client("iam")
        iam.create_user(UserName="tests")
        made = iam.create_access_key(UserName="tests")["AccessKey"]
        iam.put_user_policy(UserName="tests", PolicyName="all", PolicyDocument=ALL)
        for who in ("controller", "worker"):
            iam.create_role(RoleName=f"bpd-{stage}-{who}", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/tests"}}]}))
            iam.put_role_policy(RoleName=f"bpd-{stage}-{who}", PolicyName="all", PolicyDocument=ALL)
            iam.create_instance_profile(InstanceProfileName=f"bpd-{stage}-{who}")
            iam.add_role_to_instance_profile(InstanceProfileName=f"bpd-{stage}-{who}", RoleName=f"bpd-{stage}-{who}")
        self.user = self.add(Keys(made["AccessKeyId"], made["SecretAccessKey"], "tests"))
        ActionAuthenticatorMixin.request_count = 0
        settings.INITIAL_NO_AUTH_ACTION_COUNT = 0

    def add(self, keys):
        self.keys[keys.id] = keys
        return keys

    def close(self):
        """Forgets everything: moto keeps its state in the process."""
        settings.INITIAL_NO_AUTH_ACTION_COUNT = float("inf")
        urllib.request.urlopen(urllib.request.Request(self.url + "/moto-api/reset", method="POST")).read()
        self.server.shutdown()
        self.server.server_close()

    def client(self, service):
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, aws_access_key_id=self.user.id,
                            aws_secret_access_key=self.user.secret, config=Config(retries={"total_max_attempts": 1}, proxies={}))

    def issue(self, role, seconds):
        """Keys of a role, as the metadata of an instance hand them out."""
        c = self.client("sts").assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{role}", RoleSessionName="i-test",
                                           DurationSeconds=max(900, seconds))["Credentials"]
        return self.add(Keys(c["AccessKeyId"], c["SecretAccessKey"], f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/i-test", c["SessionToken"],
                             c["Expiration"].timestamp()))

    def calls(self, role=None):
        """Requests of a role, of everybody else than the tests for None."""
        with self.recorder.lock:
            return [r for r in self.recorder.seen if r.key_id in self.keys and
                    (f"assumed-role/{role}/" if role else "assumed-role/") in self.keys[r.key_id].principal]
