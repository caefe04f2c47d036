# SPDX-License-Identifier: Apache-2.0
"""bpctl doctor: what it says when all is well, and for each thing that is not: the operation, the resource, the permission, the
remedy; and that nothing else stops for it."""
import os
import signal
import time

import pytest

from conftest import wait_until
from objects_rig import environment
from scripted_account import Account

SECRET = "value-of-the-fleet-secret"


@pytest.fixture
def account():
    a = Account()
    yield a
    a.close()


@pytest.fixture
def cloudy(daemon, noop, account, monkeypatch):
    """cloudy(**environment): a daemon whose objects and parameters are in that account, and its fleet here."""

    def make(settings=None, **env):
        given = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": Account.SECRET, **env}
        for name in [n for n in os.environ if n.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in environment(account.url, **given).items():
            monkeypatch.setenv(name, value)
        services = {f"services.{s}": "local" for s in ("fleet", "metrics", "logs", "notify", "node")}
        return daemon(plugins=("sqlite", "local", "aws"), extra_plugins=[noop],
                      settings={**services, "services.objects": "aws", "services.params": "aws", "plugin.aws.bucket": "media",
                                "plugin.aws.maxAttempts": "1", **(settings or {})})

    return make


def doctor(d, *args):
    """check -> row, and the exit status."""
    r = d.ctl("doctor", *args, check=False)
    assert r["fail"] == sum(c["status"] == "fail" for c in r["checks"]) and r["ok"] + r["warn"] + r["fail"] == len(r["checks"])
    rows = {c["check"]: c for c in r["checks"]}
    assert len(rows) == len(r["checks"])
    assert Account.SECRET not in str(r) and SECRET not in str(r)
    return rows


def status(d, *args):
    return d.ctl("doctor", *args, json_form=False)


def works_on(d):
    """Whatever doctor found: submits are taken."""
    assert d.http.get("/readyz").status == 200
    assert d.http.submit("bench-noop", {})["id"]


# ---- all is well ----

def test_all_is_well_without_a_cloud(daemon, noop):
    d = daemon(extra_plugins=[noop])
    wait_until("described", lambda: doctor(d)["fleet bench-noop"]["status"] == "ok")
    rows = doctor(d)
    assert {r["status"] for r in rows.values()} == {"ok"}, rows
    assert {"settings", "ready", "leadership", "plugins", "queue", "state directory", "runner", "sqlite.file", "sqlite.schema", "sqlite.disk",
            "local.directory", "local.objects"} <= set(rows)
    r = status(d)
    assert r.returncode == 0 and "\nOK      queue " in r.stdout and "FAIL" not in r.stdout


def test_all_is_well_with_aws(cloudy, account):
    d = cloudy()
    rows = doctor(d)
    assert rows["aws.identity"]["status"] == "ok"
    assert rows["aws.identity"]["text"] == "arn:aws:sts::123456789012:assumed-role/bpd/x, account 123456789012"
    assert rows["aws.credentials"]["text"].startswith("from environment")
    assert rows["aws.region"]["text"] == "eu-central-1, from AWS_REGION"
    assert [rows[f"aws.{c}"]["status"] for c in ("clock", "bucket", "fleet-secret")] == ["ok"] * 3
    assert "local.objects" not in rows  # they are not there
    assert status(d).returncode == 0
    assert SECRET not in d.log.read_text()


# ---- what is not well ----

def failed(d, check):
    """That row alone is bad; as text it stands there with its remedy, and the exit status says so."""
    rows = doctor(d)
    row = rows.pop(check)
    assert row["status"] == "fail" and row["remedy"], row
    assert not [r for r in rows.values() if r["status"] == "fail"], rows
    r = status(d)
    assert r.returncode == 1 and f"FAIL    {check} " in r.stdout and f"remedy: {row['remedy']}" in r.stdout
    works_on(d)
    return row


def test_no_credentials(cloudy):
    d = cloudy(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)
    rows = doctor(d)
    row = rows["aws.credentials"]
    assert row["status"] == "fail" and "no AWS credentials" in row["text"]
    assert "give the instance a role, or set AWS_ACCESS_KEY_ID" in row["remedy"]
    assert "no AWS credentials" in rows["aws.bucket"]["text"]
    assert status(d).returncode == 1
    works_on(d)


def test_credentials_that_are_over(cloudy, account):
    account.denied.clear()
    d = cloudy(AWS_ACCESS_KEY_ID="ASIAGONE", AWS_SESSION_TOKEN="t")
    rows = doctor(d)
    assert "InvalidClientTokenId" in rows["aws.identity"]["text"]
    assert rows["aws.identity"]["remedy"] == "renew the credentials (environment)"
    works_on(d)


def test_a_denied_action(cloudy, account):
    account.denied = {"GetParameter"}
    d = cloudy()
    row = failed(d, "aws.fleet-secret")
    assert row["operation"] == "ssm:GetParameter" and row["resource"] == "parameter /bp/local/fleet-secret"
    assert row["permission"] == "ssm:GetParameter kms:Decrypt" and "AccessDenied" in row["text"]
    assert row["remedy"] == "allow ssm:GetParameter kms:Decrypt to environment"


def test_a_denied_bucket(cloudy, account):
    account.denied = {"HeadBucket"}
    row = failed(cloudy(), "aws.bucket")
    assert (row["operation"], row["resource"], row["permission"]) == ("s3:HeadBucket", "bucket media", "s3:ListBucket")


def test_a_bucket_that_is_missing(cloudy, account):
    account.no_bucket = True
    d = cloudy()
    row = failed(d, "aws.bucket")
    assert (row["operation"], row["resource"]) == ("s3:HeadBucket", "bucket media")
    assert row["remedy"] == "make the bucket, or correct plugin.aws.bucket"
    # the same goes to the log
    wait_until("logged", lambda: "s3:HeadBucket of bucket media failed" in d.log.read_text())


def test_no_bucket_is_named(cloudy):
    assert "set plugin.aws.bucket" in failed(cloudy(settings={"plugin.aws.bucket": ""}), "aws.bucket")["remedy"]


def test_the_wrong_region(cloudy, account):
    account.region = "us-west-2"
    d = cloudy()
    row = doctor(d)["aws.bucket"]
    assert row["status"] == "warn" and "it is in region us-west-2, not in eu-central-1: it is asked there" in row["text"]
    assert "correct plugin.aws.region" in row["remedy"]
    assert status(d).returncode == 0
    works_on(d)


def test_no_region(cloudy):
    row = doctor(cloudy(AWS_REGION=None))["aws.region"]
    assert row["status"] == "fail" and "AWS_REGION" in row["remedy"]


def test_a_clock_that_is_wrong(cloudy, account):
    account.skew = -1800
    row = doctor(cloudy())["aws.clock"]
    assert row["status"] == "warn" and "1800 s off" in row["text"] or "1799 s off" in row["text"]


def test_a_parameter_that_is_missing_is_a_warning(cloudy, account):
    account.no_parameter = True
    d = cloudy()
    assert doctor(d)["aws.fleet-secret"]["status"] == "warn" and status(d).returncode == 0


def test_an_endpoint_that_hangs(cloudy, account):
    d = cloudy()
    account.hang = {"HeadBucket": 60}
    rows = doctor(d, "--timeout", "3")
    row = rows["aws.bucket"]
    assert row["status"] == "fail" and row["operation"] == "s3:HeadBucket" and row["resource"] == "bucket media" and row["remedy"]
    assert rows["aws.identity"]["status"] == "ok" and rows["queue"]["status"] == "ok"
    works_on(d)


def test_a_source_that_hangs(cloudy, account):
    """It is asked for by nobody but doctor, and doctor has an end."""
    account.hang = {"container": 60}
    d = cloudy(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None, AWS_CONTAINER_CREDENTIALS_FULL_URI=account.url + "/container")
    rows = doctor(d, "--timeout", "2")
    assert rows["aws.credentials"]["status"] == "fail" and rows["aws.checks"]["status"] == "fail"
    again = doctor(d, "--timeout", "2")  # the plugin may be at it still: then that is said
    assert any(again[c]["status"] == "fail" for c in ("aws.credentials", "aws.checks") if c in again)
    works_on(d)


@pytest.fixture
def fleet_at_aws(cloudy, account):
    def make(**workflow):
        keys = {f"workflows.bench-noop.{k}": v for k, v in workflow.items()}
        return cloudy(settings={"services.fleet": "aws", "scale.tickMilliseconds": "100", **keys,
                                "plugin.aws.fleet": '{"instanceProfile": "bpd-worker", "subnets": ["subnet-1"], '
                                                    '"securityGroups": ["sg-1"], "controllerUrl": "https://bp.example"}'})
    return make


def test_an_ami_parameter_that_is_missing(fleet_at_aws):
    d = fleet_at_aws(amiSsmParameter="/bp/local/ami/noop")
    row = wait_until("tried", lambda: (r := doctor(d).get("fleet bench-noop")) and r["status"] == "fail" and r)
    assert "parameter /bp/local/ami/noop, that should name the AMI of bench-noop, does not exist in eu-central-1" in row["text"]
    assert row["remedy"] == "make it: bpctl ami set bench-noop AMI"
    works_on(d)


def test_an_ami_of_another_region(fleet_at_aws, account):
    account.parameters["/bp/local/ami/noop"] = "ami-0123456789abcdef0"
    d = fleet_at_aws(amiSsmParameter="/bp/local/ami/noop")
    row = wait_until("tried", lambda: (r := doctor(d).get("fleet bench-noop")) and r["status"] == "fail" and r)
    assert "ami-0123456789abcdef0" in row["text"] and "is not in region eu-central-1" in row["text"]
    assert row["remedy"] == "copy it there"
    # it stays so while descriptions succeed
    time.sleep(0.5)
    assert doctor(d)["fleet bench-noop"] == row
    works_on(d)


def test_a_fleet_that_may_not_be_made(fleet_at_aws, account):
    account.denied = {"DescribeImages"}
    d = fleet_at_aws(amiId="ami-0123456789abcdef0")
    row = wait_until("tried", lambda: (r := doctor(d).get("fleet bench-noop")) and r["status"] == "fail" and r)
    assert "ec2:DescribeImages of image ami-0123456789abcdef0 failed: AccessDenied" in row["text"]
    assert row["remedy"] == "allow ec2:DescribeImages to environment"
    works_on(d)


def test_a_plugin_that_was_refused(daemon, noop, tmp_path):
    d = daemon(extra_plugins=[noop])
    (d.plugins / "broken.so").write_text("this is no plugin")
    row = wait_until("refused", lambda: doctor(d).get("plugin broken"))
    assert row["status"] == "fail" and row["text"].startswith("refused: ") and "bpctl plugin reload broken" in row["remedy"]
    assert status(d).returncode == 1


def test_usage(daemon):
    d = daemon()
    r = status(d, "--timeout", "1")
    assert r.returncode == 1 and "--timeout takes 2 to 120 seconds" in r.stderr
    many = [d.ctl("doctor", check=False) for _ in range(10)]
    assert all(m["fail"] == many[0]["fail"] for m in many)
