# SPDX-License-Identifier: Apache-2.0
"""S3 as far as objects ask it: path style, whole and ranged reads, conditional writes, multipart uploads, list by prefix."""
import base64
import collections
import email.utils
import hashlib
import re
import urllib.parse

import crc32c

from . import forms
from .errors import AwsError
from .wire import Answer

Object = collections.namedtuple("Object", "data etag mime modified")


class S3:
    """buckets: name -> {key: Object}; uploads: id -> (bucket, key, mime, {number: data})."""
    signing, protocol = "s3", "s3"
    LEAST_PART = 5 << 20

    def __init__(self, aws):
        self.aws, self.buckets, self.uploads = aws, {"media": {}}, {}

    def parse(self, request):
        bucket, _, key = urllib.parse.unquote(request.path).lstrip("/").partition("/")
        request.params = {"Bucket": bucket, "Key": key, **request.args}
        a, m = request.args, request.method
        if not key:
            request.operation = {"GET": "ListObjectsV2", "HEAD": "HeadBucket", "PUT": "CreateBucket"}.get(m, "Unknown")
        elif "uploadId" in a:
            request.operation = {"PUT": "UploadPart", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload", "GET": "ListParts"}[m]
        elif "uploads" in a:
            request.operation = "CreateMultipartUpload"
        else:
            request.operation = {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}.get(m, "Unknown")

    def call(self, r):
        fn = getattr(self, "op_" + r.operation, None)
        if not fn:
            raise AwsError("MethodNotAllowed", r.method, 405)
        if r.params["Bucket"] not in self.buckets and r.operation != "CreateBucket":
            raise AwsError("NoSuchBucket", "The specified bucket does not exist", 404)
        answer = fn(r, self.buckets.get(r.params["Bucket"]), r.params["Key"])
        answer.headers.update({"x-amz-request-id": f"fake-{r.number}", "x-amz-id-2": "fake-host"})
        return answer

    @staticmethod
    def etag(data):
        return f'"{hashlib.md5(data).hexdigest()}"'

    @staticmethod
    def verify(r):
        """The checksums that came with a body."""
        for name, value in (("x-amz-checksum-crc32c", lambda: crc32c.crc32c(r.body).to_bytes(4, "big")),
                            ("x-amz-checksum-sha256", lambda: hashlib.sha256(r.body).digest()),
                            ("content-md5", lambda: hashlib.md5(r.body).digest())):
            if name in r.headers and r.headers[name] != base64.b64encode(value()).decode():
                raise AwsError("BadDigest", f"The {name} you specified did not match what we received.")

    @staticmethod
    def page(name, members):
        return Answer(200, f'<?xml version="1.0" encoding="UTF-8"?>\n<{name}>{members}</{name}>'.encode(), {"Content-Type": "application/xml"})

    def store(self, bucket, key, data, mime, etag=None):
        bucket[key] = Object(data, etag or self.etag(data), mime or "binary/octet-stream", int(self.aws.clock.now()))
        return bucket[key]

    def op_CreateBucket(self, r, bucket, key):
        self.buckets.setdefault(r.params["Bucket"], {})
        return Answer(200)

    def op_HeadBucket(self, r, bucket, key):
        return Answer(200)

    def op_PutObject(self, r, bucket, key):
        self.verify(r)
        if r.headers.get("if-none-match") == "*" and key in bucket:
            raise AwsError("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", 412)
        o = self.store(bucket, key, r.body, r.headers.get("content-type"))
        return Answer(200, headers={"ETag": o.etag})

    def found(self, r, bucket, key):
        if key not in bucket:
            raise AwsError("NoSuchKey", "The specified key does not exist.", 404)
        if r.headers.get("if-match", bucket[key].etag) != bucket[key].etag:
            raise AwsError("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", 412)
        return bucket[key]

    @staticmethod
    def head_of(o):
        return {"ETag": o.etag, "Content-Type": o.mime, "Last-Modified": email.utils.formatdate(o.modified, usegmt=True), "Accept-Ranges": "bytes"}

    def op_GetObject(self, r, bucket, key):
        o = self.found(r, bucket, key)
        m = re.fullmatch(r"bytes=(\d+)-(\d*)", r.headers.get("range", ""))
        if not m:
            return Answer(200, o.data, self.head_of(o))
        first, last = int(m[1]), min(int(m[2] or len(o.data)), len(o.data) - 1)
        if first >= len(o.data):
            raise AwsError("InvalidRange", "The requested range is not satisfiable", 416)
        return Answer(206, o.data[first:last + 1], {**self.head_of(o), "Content-Range": f"bytes {first}-{last}/{len(o.data)}"})

    def op_HeadObject(self, r, bucket, key):
        if key not in bucket:
            return Answer(404)
        return Answer(200, b"", self.head_of(bucket[key]), length=len(bucket[key].data))

    def op_DeleteObject(self, r, bucket, key):
        bucket.pop(key, None)
        return Answer(204)

    def op_ListObjectsV2(self, r, bucket, key):
        a, n = r.args, min(int(r.args.get("max-keys", 1000)), 1000)
        after = a.get("continuation-token") or a.get("start-after", "")
        keys = sorted((k for k in bucket if k.startswith(a.get("prefix", "")) and k.encode() > after.encode()), key=str.encode)
        quoted = (lambda k: urllib.parse.quote(k, safe="/")) if a.get("encoding-type") == "url" else (lambda k: k)
        items = "".join(f"<Contents>{forms.xml({'Key': quoted(k), 'LastModified': self.aws.clock.iso(bucket[k].modified), 'ETag': bucket[k].etag, 'Size': len(bucket[k].data)}, 'x')}"
                        "</Contents>" for k in keys[:n])
        more = {"NextContinuationToken": keys[n - 1]} if len(keys) > n else {}
        return self.page("ListBucketResult", forms.xml({"Name": r.params["Bucket"], "Prefix": a.get("prefix", ""), "KeyCount": min(n, len(keys)),
                                                        "MaxKeys": n, "EncodingType": a.get("encoding-type"), "IsTruncated": len(keys) > n, **more}, "x") + items)

    # ---- multipart ----

    def upload(self, r):
        if r.args["uploadId"] not in self.uploads:
            raise AwsError("NoSuchUpload", "The specified multipart upload does not exist.", 404)
        return self.uploads[r.args["uploadId"]]

    def op_CreateMultipartUpload(self, r, bucket, key):
        id = self.aws.id("up/") + "+="
        self.uploads[id] = (r.params["Bucket"], key, r.headers.get("content-type"), {})
        return self.page("InitiateMultipartUploadResult", forms.xml({"Bucket": r.params["Bucket"], "Key": key, "UploadId": id}, "x"))

    def op_UploadPart(self, r, bucket, key):
        self.verify(r)
        self.upload(r)[3][int(r.args["partNumber"])] = r.body
        return Answer(200, headers={"ETag": self.etag(r.body)})

    def op_ListParts(self, r, bucket, key):
        parts = self.upload(r)[3]
        after = int(r.args.get("part-number-marker", 0))
        items = "".join(f"<Part>{forms.xml({'PartNumber': n, 'ETag': self.etag(b), 'Size': len(b)}, 'x')}</Part>" for n, b in sorted(parts.items()) if n > after)
        return self.page("ListPartsResult", "<IsTruncated>false</IsTruncated>" + items)

    def op_AbortMultipartUpload(self, r, bucket, key):
        self.upload(r)
        del self.uploads[r.args["uploadId"]]
        return Answer(204)

    def op_CompleteMultipartUpload(self, r, bucket, key):
        _, _, mime, parts = self.upload(r)
        asked = [(int(re.search(r"<PartNumber>(\d+)</PartNumber>", p)[1]), re.search(r"<ETag>(.*?)</ETag>", p)[1].replace("&quot;", '"'))
                 for p in re.findall(r"<Part>(.*?)</Part>", r.body.decode(), re.S)]
        for n, etag in asked:
            if n not in parts or etag.strip('"') != self.etag(parts[n]).strip('"'):
                raise AwsError("InvalidPart", "One or more of the specified parts could not be found.")
        if any(len(parts[n]) < self.LEAST_PART for n, _ in asked[:-1]):
            raise AwsError("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed object size.")
        data = b"".join(parts[n] for n, _ in asked)
        if r.headers.get("x-amz-checksum-type") == "FULL_OBJECT" and \
           r.headers.get("x-amz-checksum-crc32c") != base64.b64encode(crc32c.crc32c(data).to_bytes(4, "big")).decode():
            raise AwsError("BadDigest", "The checksum you specified did not match that of the whole object.")
        digest = hashlib.md5(b"".join(hashlib.md5(parts[n]).digest() for n, _ in asked)).hexdigest()
        o = self.store(bucket, key, data, mime, f'"{digest}-{len(asked)}"')
        del self.uploads[r.args["uploadId"]]
        return self.page("CompleteMultipartUploadResult", forms.xml({"Bucket": r.params["Bucket"], "Key": key, "ETag": o.etag}, "x"))
