# SPDX-License-Identifier: Apache-2.0
"""Objects and parameters against moto, read back with boto3; and against an S3 that misbehaves."""
import os
import subprocess
import threading
import urllib.parse
import urllib.request

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from aws_rig import surroundings
from conftest import wait_until
from fakeaws import FakeAws, cuts, fails, says, truncated
from objects_rig import CONFLICT, DENIED, INVALID, NOTFOUND, Caller, environment

MIB = 1 << 20
PARTS = {"partBytes": 5 * MIB, "multipartBytes": 5 * MIB, "uploadConnections": 3}
ODD_KEYS = ["plain", "a b", "a+b", "a=b&c", "a@b!('*)", "ü/ö/ß", "日本/ключ", "a%20b", "a//b".replace("//", "/-/"), "~tilde_-.",
            "q?x=1#f", "semi;colon,comma"]


@pytest.fixture(scope="module")
def moto():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def client(moto, service):
    return boto3.client(service, endpoint_url=moto, region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="y",
                        config=Config(retries={"max_attempts": 1}))


@pytest.fixture
def s3(moto):
    s3 = client(moto, "s3")
    s3.create_bucket(Bucket="media", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    yield s3
    urllib.request.urlopen(urllib.request.Request(f"{moto}/moto-api/reset", method="POST")).read()


@pytest.fixture
def call(build, moto, tmp_path):
    c = Caller(build, tmp_path, environment(moto), {**PARTS, "keyPrefix": "p/"})
    yield c
    c.close()


@pytest.fixture
def aws():
    """S3 that misbehaves as it is told, and checks every signature."""
    with FakeAws() as a:
        yield a
        assert not a.unproven()


@pytest.fixture
def rough(build, aws, tmp_path):
    """A caller on that one."""
    c = Caller(build, tmp_path, surroundings(aws), PARTS)
    yield c
    c.close()


def random_file(path, n):
    path.write_bytes(os.urandom(n))
    return path


def curl(*args):
    return subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", *map(str, args)], check=True, capture_output=True,
                          text=True).stdout


# ---- moto: the happy path, read back by boto3 ----

def test_a_small_file_is_stored_with_its_type(call, s3, tmp_path):
    f = random_file(tmp_path / "f", 1000)
    call.ok("put", key="small", mime="image/png", path=str(f))
    o = s3.get_object(Bucket="media", Key="p/small")
    assert o["Body"].read() == f.read_bytes() and o["ContentType"] == "image/png"
    call.ok("put", key="none", path=str(random_file(tmp_path / "empty", 0)))
    assert s3.head_object(Bucket="media", Key="p/none")["ContentLength"] == 0


def test_twenty_megabytes_go_in_parts_and_come_back(call, s3, tmp_path):
    f = random_file(tmp_path / "f", 20 * MIB + 4321)
    call.ok("put", key="large.mp4", mime="video/mp4", path=str(f))
    o = s3.get_object(Bucket="media", Key="p/large.mp4")
    assert o["Body"].read() == f.read_bytes()
    assert o["ContentType"] == "video/mp4" and o["ETag"].endswith('-5"')
    assert not s3.list_multipart_uploads(Bucket="media").get("Uploads")
    call.ok("get", key="large.mp4", path=str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == f.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["back", "calls.log", "f", "plugin-state"]


def test_odd_keys_are_stored_listed_fetched_and_removed(call, s3, tmp_path):
    f = random_file(tmp_path / "f", 10)
    for key in ODD_KEYS:
        call.ok("put", key=key, mime="text/plain", path=str(f))
    names = [o["Key"] for o in s3.list_objects_v2(Bucket="media", Prefix="p/")["Contents"]]
    assert sorted(names) == sorted("p/" + k for k in ODD_KEYS)
    listed = [o["key"] for o in call.ok("list", prefix="")["objects"]]
    assert listed == sorted(ODD_KEYS, key=lambda k: k.encode())
    assert [o["key"] for o in call.ok("list", prefix="", after=listed[3], n=2)["objects"]] == listed[4:6]
    for key in ODD_KEYS:
        head = call.ok("head", key=key)["object"]
        assert head["bytes"] == 10 and head["mime"] == "text/plain" and head["modified_ms"] > 1.7e12
        call.ok("get", key=key, path=str(tmp_path / "back"))
        assert (tmp_path / "back").read_bytes() == f.read_bytes()
        call.ok("remove", key=key)
        call.ok("remove", key=key)  # absent is fine
        assert call("head", key=key)["rc"] == NOTFOUND
    assert "Contents" not in s3.list_objects_v2(Bucket="media")


def test_a_list_of_more_than_a_page(call, s3):
    for i in range(1203):
        s3.put_object(Bucket="media", Key=f"p/many/{i:05}", Body=b"x")
    s3.put_object(Bucket="media", Key="other/many/0", Body=b"x")
    keys = [o["key"] for o in call.ok("list", prefix="many/")["objects"]]
    assert keys == [f"many/{i:05}" for i in range(1203)]


def test_put_new_refuses_what_is_there(call, s3, tmp_path):
    f = random_file(tmp_path / "f", 10)
    call.ok("put_new", key="once", path=str(f))
    other = random_file(tmp_path / "g", 11)
    refused = call("put_new", key="once", path=str(other))
    assert refused["rc"] == CONFLICT, refused
    assert s3.get_object(Bucket="media", Key="p/once")["Body"].read() == f.read_bytes()


@pytest.mark.parametrize("key", ["plain", "a b+c/ü.mp4"])
def test_presigned_urls_by_curl(call, s3, tmp_path, key):
    f = random_file(tmp_path / "f", 100000)
    put = call.ok("presign", method="PUT", key=key, mime="video/mp4", ttl=600)["url"]
    q = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(put).query))
    assert q["X-Amz-Expires"] == "600" and set(q["X-Amz-SignedHeaders"].split(";")) == {"content-type", "host"}
    assert curl("-T", f, "-H", "Content-Type: video/mp4", put) == "200"
    o = s3.get_object(Bucket="media", Key="p/" + key)
    assert o["Body"].read() == f.read_bytes() and o["ContentType"] == "video/mp4"
    get = call.ok("presign", method="GET", key=key)["url"]
    assert subprocess.run(["curl", "-sSf", get], check=True, capture_output=True).stdout == f.read_bytes()
    assert "content-type" not in get.lower()


def test_errors_name_what_and_the_remedy(build, moto, s3, tmp_path):
    c = Caller(build, tmp_path, environment(moto), {"bucket": "no-such-bucket"})
    f = random_file(tmp_path / "f", 10)
    a = c("put", key="k", path=str(f))
    assert a["rc"] == NOTFOUND and "no-such-bucket" in a["text"], a
    a = c("head", key="../k")
    assert a["rc"] == INVALID
    c.close()
    c = Caller(build, tmp_path, environment(moto), {"bucket": ""})
    a = c("head", key="k")
    assert a["rc"] == INVALID and "plugin.aws.bucket" in a["text"], a
    c.close()


def test_parameters_and_secrets(call, moto):
    ssm, secrets = client(moto, "ssm"), client(moto, "secretsmanager")
    call.ok("param_put", name="/bp/test/fleet-secret", value="s3cret-one", secret=1)
    p = ssm.get_parameter(Name="/bp/test/fleet-secret", WithDecryption=True)["Parameter"]
    assert p["Value"] == "s3cret-one" and p["Type"] == "SecureString"
    assert call.ok("param", name="/bp/test/fleet-secret")["value"] == "s3cret-one"
    ssm.put_parameter(Name="/bp/test/fleet-secret", Value="s3cret-two", Type="SecureString", Overwrite=True)
    assert call.ok("param", name="/bp/test/fleet-secret")["value"] == "s3cret-one"  # cached
    assert call.ok("param", name="/bp/test/fleet-secret", fresh=1)["value"] == "s3cret-two"
    secrets.create_secret(Name="bp/db", SecretString='{"user":"bp","password":"s3cret-three"}')
    assert call.ok("param", name="secretsmanager:bp/db#password")["value"] == "s3cret-three"
    arn = secrets.describe_secret(SecretId="bp/db")["ARN"]
    assert call.ok("param", name=arn)["value"].startswith('{"user"')
    missing = call("param", name="/bp/test/none")
    assert missing["rc"] == NOTFOUND and "/bp/test/none" in missing["text"]
    assert call("param", name="secretsmanager:none")["rc"] == NOTFOUND
    assert "s3cret" not in call.logged()


# ---- an S3 that misbehaves ----

def stored(aws):
    return {k: o.data for k, o in aws.s3.buckets["media"].items()}


def test_what_arrives_damaged_is_refused_by_its_checksum(rough, aws, tmp_path):
    """The server computes its own: every put of these tests is checked by it."""
    f = random_file(tmp_path / "f", 12 * MIB)

    def damage(request, proceed, stop):
        request.body = request.body[:-1] + bytes([request.body[-1] ^ 1])
        return proceed()

    aws.script.add("s3", "UploadPart", damage)
    a = rough("put", key="k", path=str(f))
    assert a["rc"] != 0 and "BadDigest" in a["text"] and not stored(aws) and not aws.s3.uploads, a


def test_a_whole_that_is_put_together_wrong_is_refused_by_its_checksum(rough, aws, tmp_path):
    """Each part was right when it came."""
    f = random_file(tmp_path / "f", 12 * MIB)

    def mix_up(request, proceed, stop):
        parts = aws.s3.uploads[request.args["uploadId"]][3]
        parts[1], aws.s3.etag = parts[1][::-1], lambda data, real=aws.s3.etag: real(data[::-1] if data is parts[1] else data)
        try:
            return proceed()
        finally:
            del aws.s3.etag

    aws.script.add("s3", "CompleteMultipartUpload", mix_up, times=None)
    a = rough("put", key="k", path=str(f))
    assert a["rc"] != 0 and "BadDigest" in a["text"] and not stored(aws), a


def test_a_download_is_taken_up_where_it_was_cut_off(rough, aws, tmp_path):
    data = os.urandom(3 * MIB)
    aws.s3.store(aws.s3.buckets["media"], "k", data, "video/mp4")
    for action in (truncated(MIB + 17), truncated(100), cuts):
        aws.script.add("s3", "GetObject", action)
    rough.ok("get", key="k", path=str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == data
    ranges = [r.headers.get("range") for r in aws.requests("s3", "GetObject")]
    assert ranges[0] is None and f"bytes={MIB + 17}-" in ranges and f"bytes={MIB + 117}-" in ranges
    assert sum(1 for r in ranges if r is None) == 1  # nothing was fetched twice


def test_an_object_replaced_during_the_download(rough, aws, tmp_path):
    bucket, new = aws.s3.buckets["media"], os.urandom(MIB)
    aws.s3.store(bucket, "k", os.urandom(MIB), None)

    def cut_and_replace(request, proceed, stop):
        answer = truncated(1000)(request, proceed, stop)
        aws.s3.store(bucket, "k", new, None)
        return answer

    aws.script.add("s3", "GetObject", cut_and_replace)
    rough.ok("get", key="k", path=str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == new


@pytest.mark.parametrize("fault", [fails("SlowDown", 503), fails("InternalError", 500), cuts, fails("ExpiredToken", 400),
                                   fails("ServiceUnavailable", 503, headers={"Retry-After": "0"})],
                         ids=["slow-down", "internal", "hang-up", "expired-token", "unavailable"])
def test_what_passes_is_repeated(rough, aws, tmp_path, fault):
    f = random_file(tmp_path / "f", 1000)
    aws.script.add("s3", "PutObject", fault)
    rough.ok("put", key="k", path=str(f))
    assert stored(aws) == {"k": f.read_bytes()} and len(aws.requests("s3")) == 2


def test_a_part_that_fails_is_repeated_alone(rough, aws, tmp_path):
    f = random_file(tmp_path / "f", 12 * MIB)
    aws.script.add("s3", "UploadPart", fails("SlowDown", 503))
    aws.script.add("s3", "UploadPart", cuts)
    rough.ok("put", key="k", path=str(f))
    assert stored(aws) == {"k": f.read_bytes()} and not aws.s3.uploads
    assert len(aws.requests("s3", "UploadPart")) == 3 + 2 and len(aws.requests("s3")) == 3 + 2 + 2


def test_complete_that_says_200_and_then_error(rough, aws, tmp_path):
    f = random_file(tmp_path / "f", 12 * MIB)
    late = "<?xml version=\"1.0\"?><Error><Code>InternalError</Code><Message>again</Message></Error>"
    spaces = "<?xml version=\"1.0\"?>" + " \n" * 50 + "<Error><Code>InternalError</Code></Error>"
    for body in (late, spaces):
        aws.script.add("s3", "CompleteMultipartUpload", says(200, body))
    rough.ok("put", key="k", path=str(f))
    assert stored(aws) == {"k": f.read_bytes()} and len(aws.requests("s3", "CompleteMultipartUpload")) == 3


def test_an_upload_of_a_killed_process_is_resumed(build, aws, tmp_path):
    f = random_file(tmp_path / "f", 22 * MIB)
    env, one = surroundings(aws), {**PARTS, "uploadConnections": 1}
    c = Caller(build, tmp_path, env, one)
    held, begun = threading.Event(), threading.Event()

    def hold(request, proceed, stop):
        begun.set()
        held.wait(30)

    aws.script.add("s3", "UploadPart", hold, nth=3)
    t = threading.Thread(target=lambda: pytest.raises(AssertionError, c, "put", key="k", path=str(f)))
    t.start()
    wait_until("two parts arrived", lambda: sum(len(u[3]) for u in aws.s3.uploads.values()) == 2)
    state = tmp_path / "plugin-state" / "uploads"
    wait_until("the state is written", lambda: any(p.read_text().count('"number"') == 2 for p in state.glob("*.json")))
    assert begun.wait(30)
    c.kill()
    held.set()
    t.join()
    before = len(aws.requests("s3", "UploadPart"))
    c = Caller(build, tmp_path, env, one)
    c.ok("put", key="k", path=str(f))
    assert stored(aws) == {"k": f.read_bytes()}
    assert len(aws.requests("s3", "UploadPart")) - before == 3 and len(aws.requests("s3", "CreateMultipartUpload")) == 1
    assert not list(state.glob("*"))
    c.close()


def test_denied_is_not_repeated(rough, aws, tmp_path):
    aws.script.add("s3", "PutObject", fails("AccessDenied", 403), times=None)
    a = rough("put", key="k", path=str(random_file(tmp_path / "f", 10)))
    assert a["rc"] == DENIED and "s3:PutObject" in a["text"] and len(aws.requests("s3")) == 1, a


# ---- a daemon whose objects are in S3 ----

@pytest.fixture
def on_s3(daemon, moto, s3, test_copy, monkeypatch):
    for k, v in environment(moto).items():
        monkeypatch.setenv(k, v)
    return daemon(extra_plugins=[test_copy], plugins=("sqlite", "local", "aws"),
                  settings={"services.fleet": "local", "services.objects": "aws", "services.params": "local", "services.node": "local",
                            "services.metrics": "local", "services.logs": "local", "services.notify": "local",
                            "plugin.aws.bucket": "media", "plugin.aws.region": "eu-central-1", "plugin.aws.keyPrefix": "prod/"})


def test_a_job_whose_input_and_output_are_in_s3(on_s3, s3, moto):
    d = on_s3
    data = os.urandom(300000)
    given = d.http.upload(data)
    assert s3.get_object(Bucket="media", Key="prod/" + given["key"])["Body"].read() == data
    id = d.http.submit("test-copy", {"steps": 1}, [given])["id"]
    job = wait_until("completed", lambda: (j := d.http.job(id)) and j["status"] in ("completed", "failed") and j, timeout=60)
    assert job["status"] == "completed", job
    assert job["output"]["url"].startswith(moto)
    with_s3 = s3.get_object(Bucket="media", Key="prod/" + job["output"]["key"])["Body"].read()
    assert d.http.get_url(job["output"]["url"]).body == with_s3
    page = d.http.get("/", token=False)
    assert f"connect-src 'self' {moto};" in dict(page.headers)["Content-Security-Policy"]
    assert d.http.get("/objects/anything", token=False).status == 404


def test_bpctl_submits_and_fetches_through_s3(on_s3, tmp_path):
    f = random_file(tmp_path / "in.bin", 100000)
    r = on_s3.ctl("submit", "test-copy", str(f), "-p", "steps=1", "-o", str(tmp_path / "out"), json_form=False)
    assert r.returncode == 0, r.stderr
    assert (tmp_path / "out").exists()


def test_an_upload_larger_than_allowed_is_refused_at_submit(on_s3, s3):
    d = on_s3
    where = d.http.post("/api/uploads", {"name": "x", "bytes": 10}).data
    s3.put_object(Bucket="media", Key="prod/" + where["key"], Body=b"x" * 2000)  # S3 holds nobody to "bytes"
    d.stop()
    d.settings["http.maxUploadBytes"] = "1024"
    d.start()
    a = d.http.post("/api/jobs", {"workflow": "test-copy", "params": {"steps": 1}, "inputs": [{"key": where["key"], "mime": "text/plain"}]})
    assert a.status == 422 and "at most 1024" in str(a.json), a
