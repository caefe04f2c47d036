# SPDX-License-Identifier: Apache-2.0
"""The fake as a whole: one door for every service, told apart by the scope of the signature, and one for the metadata."""
import itertools
import re
import threading

from . import sigv4
from .autoscaling import AutoScaling
from .capacity import Capacity
from .clock import Clock
from .ec2 import Ec2
from .errors import AwsError, refusal
from .identity import Identity
from .imds import Imds
from .s3 import S3
from .script import Script
from .small import CloudWatch, Logs, SecretsManager, Sns, Ssm, Sts
from .wire import Wire


class FakeAws:
    """script: what goes wrong. clock: its time. identity: who may sign. capacity: what there is to launch. Each service's state is
    a member named after it: aws.s3.buckets, aws.autoscaling.groups, ..."""

    ACCOUNT = "123456789012"

    def __init__(self, region="eu-central-1"):
        self.region, self.clock, self.script = region, Clock(), Script()
        self.identity, self.capacity = Identity(self.clock), Capacity()
        self.lock, self.seen, self.ids = threading.RLock(), [], itertools.count(1)
        self.sts, self.s3, self.ssm, self.secretsmanager = Sts(self), S3(self), Ssm(self), SecretsManager(self)
        self.autoscaling, self.ec2 = AutoScaling(self), Ec2(self)
        self.cloudwatch, self.logs, self.sns = CloudWatch(self), Logs(self), Sns(self)
        self.services = {s.signing: s for s in (self.sts, self.s3, self.ssm, self.secretsmanager, self.autoscaling, self.ec2,
                                                self.cloudwatch, self.logs, self.sns)}
        self.wire = Wire(self.serve, self.clock.http)
        self.machines = []
        self.imds = self.machine()
        self.url = self.wire.url

    def machine(self, **pages):
        """The metadata of one more instance, on a port of its own; the first is aws.imds."""
        self.machines.append(Imds(self, **pages))
        return self.machines[-1]

    def close(self):
        self.wire.close()
        for m in self.machines:
            m.close()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()

    def requests(self, service=None, operation=None):
        """Those that came, oldest first."""
        with self.lock:
            return [r for r in self.seen if service in (None, r.service) and operation in (None, r.operation)]

    def unproven(self):
        """Requests whose signature was wrong, or missing where one is needed."""
        return [r for r in self.requests() if r.verdict not in ("ok", "unsigned")]

    def forget(self):
        with self.lock:
            self.seen.clear()

    def id(self, prefix):
        return f"{prefix}{next(self.ids):017x}"

    # ---- one request ----

    def serve(self, request):
        problem = self.judge(request)
        service = self.services.get(request.service)
        protocol = service.protocol if service else "query"
        if service:
            service.parse(request)
        with self.lock:
            self.seen.append(request)
        return self.act(request, protocol, lambda: self.proceed(request, service, problem))

    def act(self, request, protocol, proceed):
        """By the script where it has something for this request, else as asked."""
        id = f"fake-{request.number}"

        def safely():
            try:
                return proceed()
            except AwsError as e:
                request.code = e.code
                return e.answer(protocol, id)

        action = self.script.action_for(request)
        try:
            return action(request, safely, self.wire.stopping) if action else safely()
        except AwsError as e:
            request.code = e.code
            return e.answer(protocol, id)

    def proceed(self, request, service, problem):
        if problem:
            raise problem
        with self.lock:
            self.autoscaling.tick()
            return service.call(request)

    def judge(self, request):
        """Fills in service and verdict; the error that a wrong signature gets, or None."""
        request.service, protocol = self.guess(request)
        try:
            claim = sigv4.check(request, self.identity.known.get, self.clock.now())
        except sigv4.Refused as e:
            request.verdict = e.kind
            return refusal(e.kind, str(e), protocol, self.clock)
        if claim is None:
            free = request.service == "sts" and b"AssumeRoleWithWebIdentity" in request.body
            request.verdict = "unsigned" if free else "missing"
            return None if free else refusal("missing", "the request is not signed", protocol, self.clock)
        request.verdict, request.principal = "ok", self.identity.known[claim.key_id].principal
        if claim.service not in self.services:
            request.verdict = "malformed"
            return refusal("malformed", f"no service signs as {claim.service}", protocol, self.clock)
        if claim.region != self.region:
            return AwsError("AuthorizationHeaderMalformed" if protocol == "s3" else "SignatureDoesNotMatch",
                            f"the region '{claim.region}' is wrong; expecting '{self.region}'", 400 if protocol == "s3" else 403,
                            {"Region": self.region})
        return None

    def guess(self, request):
        scope = re.search(r"/([a-z0-9-]+)/aws4_request", request.headers.get("authorization", "") + request.args.get("X-Amz-Credential", ""))
        service = scope[1] if scope else "sts" if request.method == "POST" and request.path == "/" else "s3"
        known = self.services.get(service)
        return service, known.protocol if known else "query"


