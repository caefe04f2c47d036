# SPDX-License-Identifier: Apache-2.0
"""Where credentials come from, how they are renewed while calls go on, and that none is taken from elsewhere instead."""
import json
import shutil
import stat
import time
import urllib.request

import boto3
import pytest
from moto.server import ThreadedMotoServer

from conftest import wait_until
from fakeaws import FakeAws
from objects_rig import DENIED, LATER, NOTFOUND, Caller, environment
from scripted_account import Account, when
from test_tls import certify


@pytest.fixture
def account():
    a = Account()
    yield a
    a.close()


@pytest.fixture
def imds():
    with FakeAws() as aws:
        aws.imds.role = None
        yield aws.imds


@pytest.fixture(scope="module")
def moto():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://%s:%d" % server.get_host_and_port()
    yield url
    urllib.request.urlopen(urllib.request.Request(url + "/moto-api/reset", method="POST")).close()  # one account for the whole process
    server.stop()


@pytest.fixture
def caller(build, tmp_path, account):
    """caller(**environment): the plugin in a process of its own, with nothing but that in its environment."""
    made = []

    def make(config=None, credentials=None, settings=None, url=None, **env):
        given = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_REGION": None, **env}
        for name, variable, text in (("config", "AWS_CONFIG_FILE", config), ("credentials", "AWS_SHARED_CREDENTIALS_FILE", credentials)):
            if text is not None:
                (tmp_path / name).write_text(text)
                given[variable] = str(tmp_path / name)
        made.append(Caller(build, tmp_path, environment(url or account.url, **given), settings))
        return made[-1]

    yield make
    for c in made:
        c.close()
        assert Account.SECRET not in c.logged() and "token-of-" not in c.logged()


def used(account):
    """The key that the last call was signed with."""
    return account.called("HeadObject")[-1][1]


def head(c, account):
    c.ok("head", key="k")
    return used(account)


# ---- each source ----

def test_the_environment(caller, account):
    assert head(caller(AWS_ACCESS_KEY_ID="AKIAENV", AWS_SECRET_ACCESS_KEY="x"), account) == "AKIAENV"


def test_a_profile(caller, account):
    files = {"config": "[profile p]\nregion = eu-central-1\n", "credentials": "[p]\naws_access_key_id = AKIAP\naws_secret_access_key = x\n"}
    assert head(caller(**files, AWS_PROFILE="p"), account) == "AKIAP"
    # the plugin's own setting goes before keys in the environment
    assert head(caller(**files, settings={"profile": "p"}, AWS_ACCESS_KEY_ID="AKIAENV", AWS_SECRET_ACCESS_KEY="x"), account) == "AKIAP"
    assert head(caller(**files, AWS_PROFILE="p", AWS_ACCESS_KEY_ID="AKIAENV", AWS_SECRET_ACCESS_KEY="x"), account) == "AKIAENV"


def test_a_profiles_region_and_endpoint(caller, account, tmp_path):
    c = caller(config=f"[default]\nregion = eu-central-1\nendpoint_url = {account.url}\naws_access_key_id = AKIAD\naws_secret_access_key = x\n",
               settings={"region": ""}, AWS_ENDPOINT_URL=None)
    assert head(c, account) == "AKIAD"


def test_a_process(caller, account, tmp_path):
    id, secret, token, end = account.make()
    program = tmp_path / "give me.sh"
    program.write_text("#!/bin/sh\ncat <<EOF\n" + json.dumps({"Version": 1, "AccessKeyId": id, "SecretAccessKey": secret, "SessionToken": token,
                                                             "Expiration": end}) + "\nEOF\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert head(caller(config=f'[default]\ncredential_process = "{program}" --now\n'), account) == id


def test_a_container_with_a_token_in_a_file(caller, account, tmp_path):
    account.container_token = "Bearer of-the-pod"
    (tmp_path / "token").write_text("Bearer of-the-pod\n")
    assert head(caller(AWS_CONTAINER_CREDENTIALS_FULL_URI=account.url + "/container",
                       AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(tmp_path / "token")), account) == "ASIASET1"


def test_a_web_identity(caller, account, tmp_path):
    (tmp_path / "jwt").write_text("a.b.c")
    c = caller(AWS_WEB_IDENTITY_TOKEN_FILE=str(tmp_path / "jwt"), AWS_ROLE_ARN="arn:aws:iam::123456789012:role/w")
    assert head(c, account) == "ASIASET1"
    (_, id, headers, form), = account.called("AssumeRoleWithWebIdentity")
    assert id is None and "authorization" not in headers and form["WebIdentityToken"] == "a.b.c"


def test_a_chain_of_roles(caller, account):
    c = caller(config="[profile a]\nrole_arn = arn:aws:iam::123456789012:role/a\nsource_profile = b\nexternal_id = e\n"
                      "[profile b]\nrole_arn = arn:aws:iam::123456789012:role/b\ncredential_source = EcsContainer\n",
               AWS_PROFILE="a", AWS_CONTAINER_CREDENTIALS_FULL_URI=account.url + "/container")
    assert head(c, account) == "ASIASET3"
    assert [(id, f["RoleArn"][-1], f.get("ExternalId")) for _, id, _, f in account.called("AssumeRole")] == [
        ("ASIASET1", "b", None), ("ASIASET2", "a", "e")]


def test_the_instances_role(caller, account, imds):
    id, secret, token, end = account.make()
    imds.pages["iam/security-credentials/"] = "bpd-role"
    imds.pages["iam/security-credentials/bpd-role"] = json.dumps({"Code": "Success", "AccessKeyId": id, "SecretAccessKey": secret, "Token": token,
                                                                  "Expiration": end})
    assert head(caller(AWS_EC2_METADATA_DISABLED=None, AWS_EC2_METADATA_SERVICE_ENDPOINT=imds.url), account) == id


@pytest.mark.parametrize("kind", ["role", "web"])
def test_roles_that_moto_gives(caller, account, moto, tmp_path, kind):
    """Another's STS: what it gives is a set that it knows."""
    (tmp_path / "jwt").write_text("a.b.c")
    role = "arn:aws:iam::123456789012:role/given"
    env = {"AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "jwt"), "AWS_ROLE_ARN": role} if kind == "web" else {}
    config = "" if kind == "web" else (f"[default]\nrole_arn = {role}\nsource_profile = k\n[profile k]\naws_access_key_id = AKIAK\n"
                                       "aws_secret_access_key = x\n")
    boto3.client("s3", endpoint_url=moto, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y").create_bucket(Bucket="media")
    assert caller(config=config, url=moto, **env)("head", key="k")["rc"] == NOTFOUND  # signed, sent and answered
    c = caller(config=config, AWS_ENDPOINT_URL_STS=moto, **env)
    c("head", key="k")
    _, id, headers, _ = account.called("HeadObject")[0]
    assert id.startswith("ASIA") and headers["x-amz-security-token"]
    sts = boto3.client("sts", endpoint_url=moto, region_name="eu-central-1", aws_access_key_id=id, aws_secret_access_key="y")
    assert sts.get_caller_identity()["Arn"].startswith("arn:aws:sts::123456789012:assumed-role/given/bpd-")


# ---- in the course of time ----

def test_sets_that_live_seconds_are_renewed_while_calls_go_on(caller, account):
    account.life = 3
    c = caller(AWS_CONTAINER_CREDENTIALS_FULL_URI=account.url + "/container")
    until = time.time() + 12
    while time.time() < until:
        c.ok("head", key="k")
        time.sleep(0.05)
    ids = {call[1] for call in account.called("HeadObject")}
    assert len(ids) >= 4 and len(account.called("container")) <= 20
    assert not [call for call in account.called("HeadObject") if call[1] in account.revoked]


def test_a_failure_keeps_the_old_set_until_it_ends(caller, account):
    account.life = 4
    c = caller(AWS_CONTAINER_CREDENTIALS_FULL_URI=account.url + "/container")
    c.ok("head", key="k")
    account.container_status = 500
    wait_until("a renewal failed", lambda: "those before go on being used" in c.logged())
    assert head(c, account) == "ASIASET1"
    wait_until("its end", lambda: c("head", key="k")["rc"] == LATER)
    assert "the container's credentials endpoint answers with status 500" in c("head", key="k")["text"]
    account.container_status = 200
    wait_until("it is back", lambda: c("head", key="k")["rc"] == 0)
    assert used(account) == "ASIASET2"


def test_a_set_that_aws_refuses_is_renewed_once(caller, account):
    c = caller(AWS_CONTAINER_CREDENTIALS_FULL_URI=account.url + "/container")
    assert head(c, account) == "ASIASET1"
    account.revoked.add("ASIASET1")
    assert head(c, account) == "ASIASET2"
    assert len(account.called("container")) == 2
    # whatever it gives is refused: no storm
    account.life = -10
    account.revoked.update(f"ASIASET{i}" for i in range(100))
    for _ in range(20):
        assert c("head", key="k")["rc"] == DENIED
    assert len(account.called("container")) <= 5


def test_keys_in_a_file_are_read_again_when_it_changes(caller, account, tmp_path):
    text = "[default]\naws_access_key_id = {}\naws_secret_access_key = x\n"
    c = caller(credentials=text.format("AKIAOLD"))
    assert head(c, account) == "AKIAOLD"
    (tmp_path / "new").write_text(text.format("AKIANEW"))
    (tmp_path / "new").rename(tmp_path / "credentials")
    wait_until("the new key", lambda: head(c, account) == "AKIANEW")


# ---- never another one ----

@pytest.mark.parametrize("chosen", ["container", "web", "process", "profile", "half"])
def test_a_source_that_fails_is_not_replaced_by_the_instances_role(caller, account, imds, tmp_path, chosen):
    imds.pages["iam/security-credentials/"] = "node"
    imds.pages["iam/security-credentials/node"] = json.dumps({"Code": "Success", "AccessKeyId": "ASIANODE", "SecretAccessKey": "s", "Token": "t",
                                                              "Expiration": when(3600)})
    account.container_status = 404
    env, config, words = {
        "container": ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": account.url + "/container"}, "", "answers with status 404"),
        "web": ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere", "AWS_ROLE_ARN": "arn:aws:iam::1:role/x"}, "", "/nowhere cannot be read"),
        "process": ({}, "[default]\ncredential_process = false\n", "ended with status 1"),
        "profile": ({"AWS_PROFILE": "gone"}, "", "there is no profile gone"),
        "half": ({"AWS_ACCESS_KEY_ID": "AKIA"}, "", "AWS_SECRET_ACCESS_KEY is not"),
    }[chosen]
    c = caller(config=config, AWS_EC2_METADATA_DISABLED=None, AWS_EC2_METADATA_SERVICE_ENDPOINT=imds.url, **env)
    a = c("head", key="k")
    assert a["rc"] == DENIED and words in a["text"], a
    assert imds.gets() == 0 and not account.called("HeadObject")


def test_the_instances_metadata_in_trouble(caller, account, imds):
    c = caller(AWS_EC2_METADATA_DISABLED=None, AWS_EC2_METADATA_SERVICE_ENDPOINT=imds.url)
    assert "the instance has no role" in c("head", key="k")["text"]
    imds.pages["iam/security-credentials/"] = "r"
    for body, words in ((json.dumps({"Code": "AssumeRoleUnauthorizedAccess", "Message": "no"}), "(AssumeRoleUnauthorizedAccess)"),
                        ("<html>", "no code"), ("", "no code")):
        imds.pages["iam/security-credentials/r"] = body
        wait_until(words, lambda: words in c("head", key="k")["text"])
    # what is over already is better than nothing, while AWS takes it
    id, secret, token, _ = account.make()
    imds.pages["iam/security-credentials/r"] = json.dumps({"Code": "Success", "AccessKeyId": id, "SecretAccessKey": secret, "Token": token,
                                                           "Expiration": when(-60)})
    wait_until("taken all the same", lambda: c("head", key="k")["rc"] == 0)
    assert used(account) == id and "used all the same" in c.logged()


# ---- on the way there ----

@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes the certificates")
def test_a_ca_bundle_of_ones_own(caller, tmp_path):
    cert, key = certify(tmp_path, "own")
    a = Account(tls=(cert, key))
    keys = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "x"}
    refused = caller(url=a.url, settings={"maxAttempts": 1}, **keys)("head", key="k")
    assert refused["rc"] == LATER and "set caBundle or AWS_CA_BUNDLE" in refused["text"], refused
    assert not a.calls
    caller(url=a.url, settings={"caBundle": str(cert)}, **keys).ok("head", key="k")
    caller(url=a.url, AWS_CA_BUNDLE=str(cert), **keys).ok("head", key="k")
    a.close()


def test_a_bucket_of_another_region_is_asked_there(caller, account, tmp_path):
    account.region = "ap-south-2"
    (tmp_path / "in").write_bytes(b"x" * 1000)
    c = caller(AWS_ACCESS_KEY_ID="AKIA", AWS_SECRET_ACCESS_KEY="x")
    c.ok("put", key="k", path=str(tmp_path / "in"), mime="text/plain")
    assert len(account.called("PutObject")) == 2
    c.ok("head", key="k")
    assert len(account.called("HeadObject")) == 1  # known by now
    assert "/ap-south-2/s3/" in c.ok("presign", method="GET", key="k", ttl_s=60)["url"].replace("%2F", "/")
    assert "bucket media is in region ap-south-2, not eu-central-1" in c.logged()
