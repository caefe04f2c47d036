# SPDX-License-Identifier: Apache-2.0
"""What query, ec2 and JSON services have in common: op_Name(params) answers the operation Name."""
import gzip
import json

from . import forms
from .errors import AwsError
from .wire import Answer


class Service:
    signing, protocol = "", "query"

    def __init__(self, aws):
        self.aws = aws

    def body_of(self, request):
        return gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body

    def parse(self, request):
        """Fills in operation and params; whatever came, without an error."""
        try:
            request.params = forms.nest(self.body_of(request).decode())
        except (ValueError, OSError, AttributeError, TypeError):
            request.params = {}
        request.operation = request.params.get("Action", "")

    def call(self, request):
        fn = getattr(self, "op_" + request.operation, None)
        if not fn:
            raise AwsError("InvalidAction", f"the fake has no {self.signing}:{request.operation}")
        return self.render(request, fn(request.params) or {})

    def render(self, request, result):
        op, id = request.operation, f"fake-{request.number}"
        text = (f"<{op}Response><{op}Result>{forms.xml(result, 'member')}</{op}Result>"
                f"<ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{op}Response>")
        return Answer(200, text.encode(), {"Content-Type": "text/xml", "x-amzn-RequestId": id})


class Ec2Service(Service):
    protocol = "ec2"

    def render(self, request, result):
        op, id = request.operation, f"fake-{request.number}"
        text = f"<{op}Response><requestId>{id}</requestId>{forms.xml(result, 'item')}</{op}Response>"
        return Answer(200, text.encode(), {"Content-Type": "text/xml", "x-amzn-RequestId": id})


class JsonService(Service):
    protocol = "json"

    def parse(self, request):
        request.operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        try:
            request.params = json.loads(self.body_of(request) or b"{}")
        except ValueError:
            request.params = {}

    def render(self, request, result):
        return Answer(200, json.dumps(result).encode(), {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": f"fake-{request.number}"})
