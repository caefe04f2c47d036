#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes vectors.json: signatures computed by a second, independent reading of the rules, in the form of the S3 vectors.

usage: make_vectors.py >vectors.json
"""
import hashlib
import hmac
import json
import sys
from urllib.parse import quote, urlsplit

KEY_ID, SECRET = "AKIDOURVECTORS00", "ourVectorsSecret/+with+odd/characters"
EMPTY = hashlib.sha256(b"").hexdigest()


def enc(text, safe=""):
    return quote(text, safe=safe + "-_.~")


def pairs_of(query):
    found = []
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        found.append((name, value))
    return found


def keyed(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def canonical(v, headers, pairs, payload):
    url = urlsplit(v["url"])
    path = url.path if v["service"] == "s3" else quote(url.path, safe="/-_.~")
    lines = "".join(f"{k}:{' '.join(headers[k].split())}\n" for k in sorted(headers))
    query = "&".join(f"{k}={x}" for k, x in sorted(pairs))
    return "\n".join([v["method"], path, query, lines, ";".join(sorted(headers)), payload])


def sign(v):
    day, scope = v["timestamp"][:8], f"{v['timestamp'][:8]}/{v['region']}/{v['service']}/aws4_request"
    url, presign = urlsplit(v["url"]), v["kind"] == "query"
    headers = {"host": url.netloc, **{k.lower(): x for k, x in v["request_headers"].items()}}
    pairs = pairs_of(url.query)
    if presign:
        own = {"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{v['access_key']}/{scope}", "X-Amz-Date": v["timestamp"],
               "X-Amz-Expires": str(v["expires"]), "X-Amz-SignedHeaders": ";".join(sorted(headers))}
        if v["session_token"]:
            own["X-Amz-Security-Token"] = v["session_token"]
        pairs += [(enc(k), enc(x)) for k, x in own.items()]
    else:
        headers["x-amz-date"] = v["timestamp"]
        headers["x-amz-content-sha256"] = v["payload"]
        if v["session_token"]:
            headers["x-amz-security-token"] = v["session_token"]
    v["canonical_request"] = canonical(v, headers, pairs, v["payload"])
    v["string_to_sign"] = "\n".join(["AWS4-HMAC-SHA256", v["timestamp"], scope,
                                     hashlib.sha256(v["canonical_request"].encode()).hexdigest()])
    key = ("AWS4" + SECRET).encode()
    for part in (day, v["region"], v["service"], "aws4_request"):
        key = keyed(key, part)
    v["signature"] = keyed(key, v["string_to_sign"]).hex()
    return v


def vector(name, kind, method, url, **more):
    body = more.pop("body", "")
    v = {"name": name, "kind": kind, "method": method, "url": url, "region": "eu-central-1", "service": "s3",
         "timestamp": "20260228T235959Z", "expires": 900 if kind == "query" else None, "access_key": KEY_ID, "secret_key": SECRET,
         "session_token": None, "request_headers": {}, "body": body,
         "payload": "UNSIGNED-PAYLOAD" if kind == "query" else hashlib.sha256(body.encode()).hexdigest() if body else EMPTY}
    v.update(more)
    return sign(v)


def main():
    at = "https://media.s3.eu-central-1.amazonaws.com"
    odd = "/" + enc("jobs/é ü/a+b=c@d(1)'*!.mp4", "/")
    all_of = [
        vector("plain", "header", "GET", at + "/a"),
        vector("odd key", "header", "PUT", at + odd, body="bytes"),
        vector("odd key, token", "header", "GET", at + odd, session_token="FwoG/token+with=signs"),
        vector("double slashes and dots stay", "header", "GET", at + "/a//b/../c/./d"),
        vector("port", "header", "GET", "http://127.0.0.1:9000/media/a"),
        vector("bare sub-resource", "header", "POST", at + "/a?uploads"),
        vector("part", "header", "PUT", at + "/a?uploadId=u%2F1&partNumber=10", body="x"),
        vector("list", "header", "GET", at + "/?list-type=2&prefix=a%2Fb%20c&delimiter=%2F"),
        vector("blanks in a header", "header", "PUT", at + "/a", request_headers={"x-amz-meta-note": "  two   words "}, body="y"),
        vector("presigned get", "query", "GET", at + odd),
        vector("presigned get, token", "query", "GET", at + odd, session_token="FwoG/token+with=signs"),
        vector("presigned put, type pinned", "query", "PUT", at + "/a", request_headers={"content-type": "video/mp4"}),
        vector("presigned, name to save as", "query", "GET", at + "/a?response-content-disposition=attachment%3B%20filename%3D%22a.mp4%22"),
        vector("longest life", "query", "GET", at + "/a", expires=604800),
        vector("not S3", "header", "POST", "https://sts.eu-central-1.amazonaws.com/", service="sts", body="Action=GetCallerIdentity"),
        vector("not S3, encoded twice", "header", "GET", "https://x.example/a%20b", service="service"),
    ]
    json.dump(all_of, sys.stdout, indent=1)
    print()


main()
