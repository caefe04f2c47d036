# SPDX-License-Identifier: Apache-2.0
"""Checks of AWS Signature Version 4, by the public description of it: the header form and the query form.

Written from the receiver's side: everything is taken from the request as it came over the wire.
"""
import calendar
import hashlib
import hmac
import re
import time
from urllib.parse import quote, unquote_to_bytes

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
TOLERANCE_S = {"s3": 900}
LONGEST_S = 604800


class Refused(Exception):
    """kind: a key of errors.REFUSALS."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


def percent(data, keep=""):
    return quote(data, safe="-_.~" + keep)


def canonical_path(path, service):
    """S3: the key's bytes encoded once. Else: dot segments and double slashes gone, and encoded again."""
    if service == "s3":
        return percent(unquote_to_bytes(path), "/")
    out = []
    for piece in path.split("/"):
        if piece == ".." and out:
            out.pop()
        elif piece not in ("", ".", ".."):
            out.append(piece)
    slash = "/" if out and path.endswith("/") else ""
    return percent("/" + "/".join(out) + slash, "/")


def pairs_of(query):
    """Names and values as bytes; '+' is a space, as servers read it."""
    for piece in query.split("&") if query else []:
        name, _, value = piece.partition("=")
        yield unquote_to_bytes(name.replace("+", " ")), unquote_to_bytes(value.replace("+", " "))


def canonical_query(query):
    encoded = sorted((percent(n), percent(v)) for n, v in pairs_of(query) if n != b"X-Amz-Signature")
    return "&".join(f"{n}={v}" for n, v in encoded)


def seconds_of(stamp):
    if not re.fullmatch(r"\d{8}T\d{6}Z", stamp or ""):
        raise Refused("malformed", f"'{stamp}' is no date of the form YYYYMMDDTHHMMSSZ")
    return calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))


def signing_key(secret, day, region, service):
    key = ("AWS4" + secret).encode()
    for piece in (day, region, service, "aws4_request"):
        key = hmac.new(key, piece.encode(), hashlib.sha256).digest()
    return key


class Claim:
    """What a request says about its own signature."""

    def __init__(self, credential, signed_headers, signature, stamp, token, expires=None):
        self.signed, self.signature, self.stamp, self.token, self.expires = signed_headers, signature, stamp, token, expires
        pieces = credential.rsplit("/", 4)
        if len(pieces) != 5 or pieces[4] != "aws4_request" or not re.fullmatch(r"[0-9a-f]{64}", signature or ""):
            raise Refused("malformed", f"credential '{credential}' or its signature is malformed")
        self.key_id, self.day, self.region, self.service, _ = pieces
        if not self.stamp or self.stamp[:8] != self.day:
            raise Refused("mismatch", f"the scope's day {self.day} is not that of the date {stamp}")
        if self.signed != sorted(set(self.signed)) or any(h != h.lower() for h in self.signed):
            raise Refused("malformed", "SignedHeaders is not in order")


def claim_of(request):
    """The Claim, or None for a request that claims nothing."""
    header, presigned = request.headers.get("authorization"), "X-Amz-Signature" in request.args
    if header and presigned:
        raise Refused("malformed", "only one way to sign is allowed")
    if header:
        m = re.fullmatch(ALGORITHM + r" Credential=([^,\s]+), ?SignedHeaders=([^,\s]+), ?Signature=(\S+)", header)
        if not m:
            raise Refused("malformed", "the Authorization header is malformed")
        return Claim(m[1], m[2].split(";"), m[3], request.headers.get("x-amz-date"), request.headers.get("x-amz-security-token"))
    if presigned:
        a = request.args
        if a.get("X-Amz-Algorithm") != ALGORITHM or not a.get("X-Amz-Expires", "").isdigit():
            raise Refused("malformed", "X-Amz-Algorithm or X-Amz-Expires is wrong")
        return Claim(a.get("X-Amz-Credential", ""), a.get("X-Amz-SignedHeaders", "").split(";"), a["X-Amz-Signature"],
                     a.get("X-Amz-Date"), a.get("X-Amz-Security-Token"), int(a["X-Amz-Expires"]))
    return None


def check_time(claim, now):
    at = seconds_of(claim.stamp)
    tolerance = TOLERANCE_S.get(claim.service, 300)
    if claim.expires is not None:
        if not 0 < claim.expires <= LONGEST_S:
            raise Refused("malformed", "X-Amz-Expires must be between 1 and 604800")
        if now > at + claim.expires:
            raise Refused("over", "Request has expired")
        if at > now + tolerance:
            raise Refused("over", "Request is not valid yet")
    elif abs(now - at) > tolerance:
        word = "Signature expired" if at < now else "Signature not yet current"
        raise Refused("time", f"{word}: {claim.stamp} is not within {tolerance} s of the server's time")


def payload_hash(request, claim):
    actual = hashlib.sha256(request.body).hexdigest()
    if claim.service != "s3":
        return actual if claim.expires is None else hashlib.sha256(b"").hexdigest()
    said = request.headers.get("x-amz-content-sha256")
    if claim.expires is not None:
        return said or UNSIGNED
    if said is None:
        raise Refused("malformed", "x-amz-content-sha256 is missing")
    if said not in (actual, UNSIGNED):
        raise Refused("payload", "the payload's hash is not the one that was signed")
    return said


def check_headers(request, claim):
    if "host" not in claim.signed:
        raise Refused("mismatch", "host is not signed")
    for name in request.headers:
        must = name.startswith("x-amz-") or (name == "content-type" and claim.expires is None)
        if must and name not in claim.signed:
            raise Refused("mismatch", f"there is a header that was not signed: {name}")
    for name in claim.signed:
        if name not in request.headers:
            raise Refused("mismatch", f"the signed header {name} did not come")


def string_to_sign(request, claim):
    headers = "".join(f"{n}:{' '.join(request.headers[n].split())}\n" for n in claim.signed)
    text = "\n".join((request.method, canonical_path(request.path, claim.service), canonical_query(request.query), headers,
                      ";".join(claim.signed), payload_hash(request, claim)))
    scope = "/".join((claim.day, claim.region, claim.service, "aws4_request"))
    return "\n".join((ALGORITHM, claim.stamp, scope, hashlib.sha256(text.encode()).hexdigest()))


def check(request, keys_of, now):
    """The Claim of a request whose signature is right, None for one without; else Refused. keys_of(key id) -> .secret .token
    .expires, or None."""
    claim = claim_of(request)
    if claim is None:
        return None
    request.key_id = claim.key_id
    keys = keys_of(claim.key_id)
    if not keys:
        raise Refused("unknown", f"the key id {claim.key_id} is not known")
    if (keys.token or None) != (claim.token or None):
        raise Refused("token", "the security token is not that of the key")
    check_headers(request, claim)
    key = signing_key(keys.secret, claim.day, claim.region, claim.service)
    wanted = hmac.new(key, string_to_sign(request, claim).encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted, claim.signature):
        raise Refused("mismatch", "the signature does not match")
    check_time(claim, now)
    if keys.expires is not None and now >= keys.expires:
        raise Refused("expired", "the security token included in the request is expired")
    return claim
