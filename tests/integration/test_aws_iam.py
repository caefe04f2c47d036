# SPDX-License-Identifier: Apache-2.0
"""The IAM policies in etc/aws: generated, complete for what the plugin calls, and no wider than that."""
import collections
import json
import re
import subprocess

import boto3
import moto
import pytest
from botocore.exceptions import ClientError

from aws_rig import surroundings
from fakeaws import FakeAws, fails
from iam_policy import ROOT, Ledger, Policy
from objects_rig import OK, Caller

PLUGIN = ROOT / "plugins/clouds/aws"
Row = collections.namedtuple("Row", "id service action iam who repeat")


def rows():
    """operations.def, read here a second time: by the macro's own commas, not by the generator's pattern."""
    text = re.sub(r"/\*.*?\*/", "", (PLUGIN / "operations.def").read_text(), flags=re.S)
    return [Row(*(f.strip().strip('"') for f in call.split(","))) for call in re.findall(r"AWS_OP\(([^)]*)\)", text)]


def statements(who):
    return json.loads((ROOT / f"etc/aws/{who}.json").read_text())["Statement"]


def actions(who):
    return {a for s in statements(who) for a in s["Action"]}


def test_the_policies_are_as_the_table_has_them_now(tmp_path):
    subprocess.run([ROOT / "scripts/iam", tmp_path], check=True)
    for who in ("controller", "worker"):
        assert (tmp_path / f"{who}.json").read_text() == (ROOT / f"etc/aws/{who}.json").read_text(), "run scripts/iam"


def test_every_operation_is_in_the_policy_of_who_calls_it_and_in_no_other():
    wanted = {"controller": set(), "worker": set()}
    for r in rows():
        assert r.who in ("CONTROLLER", "WORKER", "BOTH") and r.repeat in ("SAFE", "ONCE"), r
        for who in wanted:
            if r.who in (who.upper(), "BOTH"):
                wanted[who].update(r.iam.split())
    assert actions("controller") == wanted["controller"] and actions("worker") == wanted["worker"]


def test_a_worker_may_do_nothing_that_is_the_controllers():
    for a in actions("worker"):
        assert not a.startswith(("s3:", "ec2:", "iam:", "sns:", "cloudwatch:")), a
    assert "autoscaling:SetDesiredCapacity" not in actions("worker") and "ssm:PutParameter" not in actions("worker")
    worker = Policy("worker")
    assert worker.allows("ssm:GetParameter", "arn:aws:ssm:eu-central-1:123456789012:parameter/bp/local/fleet-secret")
    assert not worker.allows("ssm:GetParameter", "arn:aws:ssm:eu-central-1:123456789012:parameter/bp/local/database")
    assert not worker.allows("sts:AssumeRole", "arn:aws:iam::123456789012:role/bpd-local-controller")
    assert worker.allows("logs:PutLogEvents", "arn:aws:logs:eu-central-1:123456789012:log-group:/gpu-workers/a:log-stream:i-1")
    assert not worker.allows("logs:PutLogEvents", "arn:aws:logs:eu-central-1:123456789012:log-group:/bp/local/bpd:log-stream:c")


def test_nothing_is_allowed_everywhere_that_could_be_narrowed():
    broad = {a for who in ("controller", "worker") for s in statements(who) if s["Resource"] == ["*"] and "Condition" not in s for a in s["Action"]}
    assert all(re.match(r"(autoscaling|ec2|logs):Describe|cloudwatch:GetMetricData$", a) for a in broad), broad
    for who in ("controller", "worker"):
        for s in statements(who):
            assert s["Effect"] == "Allow" and not any("*" in a for a in s["Action"]), s


@pytest.mark.parametrize("action,resource", [
    ("s3:GetObject", "arn:aws:s3:::media/other/key"), ("s3:GetObject", "arn:aws:s3:::elsewhere/bp/key"),
    ("ssm:GetParameter", "arn:aws:ssm:eu-central-1:123456789012:parameter/bp/staging/fleet-secret"),
    ("ssm:GetParameter", "arn:aws:ssm:eu-west-1:123456789012:parameter/bp/production/x"),
    ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:bp/staging/x-AbCdEf"),
    ("kms:Decrypt", "arn:aws:kms:eu-central-1:123456789012:key/1")])
def test_another_stage_bucket_or_region_is_out_of_reach(action, resource):
    assert not Policy("controller", STAGE="production", PREFIX="bp/").allows(action, resource)
    inside = resource.replace("other/", "bp/").replace("elsewhere", "media").replace("staging", "production").replace("eu-west-1", "eu-central-1")
    context = {"kms:ViaService": "ssm.eu-central-1.amazonaws.com"} if action.startswith("kms") else {}
    assert Policy("controller", STAGE="production", PREFIX="bp/").allows(action, inside, context)


def test_the_sources_call_what_the_table_has_and_all_of_it():
    known = {r.id for r in rows()}
    used = {m for f in PLUGIN.glob("*.[ch]") for m in re.findall(r"\bAWS_OP_([A-Z0-9_]+)\b", f.read_text())}
    assert used == known, (used - known, known - used)


# ---- recorded runs ----

@pytest.fixture
def aws():
    with FakeAws() as a:
        yield a


def check(aws, who):
    ledger = Ledger(lambda id: aws.autoscaling.member(id)[0].name if id else "")
    for name, p in aws.ssm.parameters.items():
        ledger.sealed[name] = p["Type"] == "SecureString"
    missing = {m for r in aws.requests() if r.service != "imds" for m in ledger.missing(Policy(who), r.service, r.operation, r.params)}
    assert not missing, missing
    return {(r.service, r.operation) for r in aws.requests()}


def test_objects_and_parameters_ask_for_nothing_that_is_missing(aws, build, tmp_path):
    MIB = 1 << 20
    aws.ssm.op_PutParameter({"Name": "/bp/local/fleet-secret", "Value": "v", "Type": "SecureString"})
    aws.secretsmanager.secrets["bp/local/redis"] = "x"
    o = Caller(build, tmp_path, surroundings(aws), {"partBytes": 5 * MIB, "multipartBytes": 5 * MIB})
    for name, n in (("small", 10), ("large", 11 * MIB)):
        (tmp_path / name).write_bytes(bytes(n))
        o.ok("put", key=name, path=str(tmp_path / name))
    aws.script.add("s3", "UploadPart", fails("AccessDenied", 403), times=None)
    assert o("put", key="never", path=str(tmp_path / "large"))["rc"] != OK  # aborts
    o.ok("get", key="small", path=str(tmp_path / "back"))
    o.ok("head", key="small")
    o.ok("list", prefix="")
    o.ok("remove", key="small")
    o.ok("param", name="/bp/local/fleet-secret")
    o.ok("param", name="secretsmanager:bp/local/redis")
    o.ok("param_put", name="/bp/local/new", value="v")
    o.close()
    seen = check(aws, "controller")
    assert {"PutObject", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload", "GetObject", "HeadObject", "ListObjectsV2", "DeleteObject",
            "GetParameter", "GetSecretValue", "PutParameter"} <= {op for _, op in seen}


# ---- as the walk-through of docs/aws.md fills them in ----

@pytest.fixture
def filled(tmp_path):
    """The files of etc/aws after the first commands of "First deploy"."""
    text = (ROOT / "docs/aws.md").read_text()
    block = re.search(r"## First deploy.*?```sh\n(.*?)```", text, re.S)[1]
    block = re.sub(r"\$\(aws [^)]*\)", "123456789012", block).replace('"$(mktemp -d)"', str(tmp_path)).replace("/usr/local/share/bpd/aws", str(ROOT / "etc/aws"))
    subprocess.run(["bash", "-euc", block], check=True)
    return {f.stem: f.read_text() for f in tmp_path.glob("*.json")}


def test_the_walk_through_fills_in_every_placeholder(filled):
    assert set(filled) == {"controller", "worker", "trust", "bucket-cors", "bucket-lifecycle"}
    for name, text in filled.items():
        json.loads(text)
        assert not re.search(r"@\w+@", text), name


def test_iam_and_s3_take_them_as_they_are(filled):
    """By moto's own checks of policy documents, and by an SDK's of the bucket's settings."""
    with moto.mock_aws():
        iam, s3 = boto3.client("iam", "us-east-1"), boto3.client("s3", "us-east-1")
        for who in ("controller", "worker"):
            iam.create_role(RoleName=f"bpd-production-{who}", AssumeRolePolicyDocument=filled["trust"])
            iam.create_policy(PolicyName=who, PolicyDocument=filled[who])
            iam.put_role_policy(RoleName=f"bpd-production-{who}", PolicyName="bpd", PolicyDocument=filled[who])
            assert len("".join(filled[who].split())) <= 10240, "the limit of a role's inline policies"
        s3.create_bucket(Bucket="media-prod")
        s3.put_bucket_cors(Bucket="media-prod", CORSConfiguration=json.loads(filled["bucket-cors"]))
        s3.put_bucket_lifecycle_configuration(Bucket="media-prod", LifecycleConfiguration=json.loads(filled["bucket-lifecycle"]))


def test_policies_that_say_what_iam_cannot_read_are_found():
    """The check above refuses what is wrong."""
    with moto.mock_aws(), pytest.raises(ClientError):
        boto3.client("iam", "us-east-1").create_policy(PolicyName="x", PolicyDocument=(ROOT / "etc/aws/trust.json").read_text())
