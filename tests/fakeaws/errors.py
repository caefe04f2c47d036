# SPDX-License-Identifier: Apache-2.0
"""An error as a service raises it, and as each protocol writes it."""
import json
from xml.sax.saxutils import escape

from .wire import Answer


class AwsError(Exception):
    """more: further elements of the XML error, {"ServerTime": "..."} say."""

    def __init__(self, code, message="as told", status=400, more=None, headers=None):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status, self.more, self.headers = code, message, status, more or {}, headers or {}

    def answer(self, protocol, request_id="fake-request"):
        return ERRORS[protocol](self, request_id)


def _xml(error, text):
    return Answer(error.status, ('<?xml version="1.0" encoding="UTF-8"?>\n' + text).encode(),
                  {"Content-Type": "text/xml", **error.headers})


def _query(e, id):
    kind = "Receiver" if e.status >= 500 else "Sender"
    return _xml(e, f"<ErrorResponse><Error><Type>{kind}</Type><Code>{escape(e.code)}</Code><Message>{escape(e.message)}</Message></Error>"
                f"<RequestId>{id}</RequestId></ErrorResponse>")


def _ec2(e, id):
    return _xml(e, f"<Response><Errors><Error><Code>{escape(e.code)}</Code><Message>{escape(e.message)}</Message></Error></Errors>"
                f"<RequestID>{id}</RequestID></Response>")


def _s3(e, id):
    more = "".join(f"<{k}>{escape(str(v))}</{k}>" for k, v in e.more.items())
    return _xml(e, f"<Error><Code>{escape(e.code)}</Code><Message>{escape(e.message)}</Message>{more}<RequestId>{id}</RequestId>"
                "<HostId>fake-host</HostId></Error>")


def _json(e, id):
    return Answer(e.status, json.dumps({"__type": f"com.amazonaws.fake#{e.code}", "message": e.message}).encode(),
                  {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": id, **e.headers})


def _plain(e, id):
    return Answer(e.status, e.message.encode(), {"Content-Type": "text/plain", **e.headers})


ERRORS = {"query": _query, "ec2": _ec2, "s3": _s3, "json": _json, "plain": _plain}

# The code for each way a signature can be wrong: (code, status) by protocol.
REFUSALS = {
    "missing": {"query": ("MissingAuthenticationToken", 403), "ec2": ("AuthFailure", 401), "json": ("MissingAuthenticationTokenException", 400),
                "s3": ("AccessDenied", 403)},
    "malformed": {"query": ("IncompleteSignature", 400), "ec2": ("AuthFailure", 401), "json": ("IncompleteSignatureException", 400),
                  "s3": ("AuthorizationHeaderMalformed", 400)},
    "unknown": {"query": ("InvalidClientTokenId", 403), "ec2": ("AuthFailure", 401), "json": ("UnrecognizedClientException", 400),
                "s3": ("InvalidAccessKeyId", 403)},
    "token": {"query": ("InvalidClientTokenId", 403), "ec2": ("AuthFailure", 401), "json": ("UnrecognizedClientException", 400),
              "s3": ("InvalidToken", 400)},
    "expired": {"query": ("ExpiredToken", 403), "ec2": ("RequestExpired", 400), "json": ("ExpiredTokenException", 400),
                "s3": ("ExpiredToken", 400)},
    "time": {"query": ("SignatureDoesNotMatch", 403), "ec2": ("RequestExpired", 400), "json": ("InvalidSignatureException", 400),
             "s3": ("RequestTimeTooSkewed", 403)},
    "over": {"query": ("RequestExpired", 400), "ec2": ("RequestExpired", 400), "json": ("InvalidSignatureException", 400),
             "s3": ("AccessDenied", 403)},
    "payload": {"query": ("SignatureDoesNotMatch", 403), "ec2": ("AuthFailure", 401), "json": ("InvalidSignatureException", 400),
                "s3": ("XAmzContentSHA256Mismatch", 400)},
    "mismatch": {"query": ("SignatureDoesNotMatch", 403), "ec2": ("AuthFailure", 401), "json": ("InvalidSignatureException", 400),
                 "s3": ("SignatureDoesNotMatch", 403)},
}


def refusal(kind, message, protocol, clock):
    code, status = REFUSALS[kind][protocol]
    return AwsError(code, message, status, {"ServerTime": clock.iso()} if kind == "time" else {})
