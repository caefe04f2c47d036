# SPDX-License-Identifier: Apache-2.0
"""What IAM would say: policies read as AWS reads them, and what a recorded request needs. Knows nothing of operations.def."""
import fnmatch
import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
VALUES = {"PARTITION": "aws", "REGION": "eu-central-1", "ACCOUNT": "123456789012", "STAGE": "local", "BUCKET": "media", "PREFIX": "",
          "TOPIC": "operators"}


def like(value, pattern):
    """IAM's wildcards, which have no brackets."""
    return fnmatch.fnmatchcase(value, pattern.replace("[", "[[]"))


class Policy:
    """etc/aws/<who>.json with its placeholders filled in."""

    def __init__(self, who, **values):
        text = (ROOT / f"etc/aws/{who}.json").read_text()
        for name, value in {**VALUES, **values}.items():
            text = text.replace(f"@{name}@", value)
        assert "@" not in text, re.findall(r"@\w*@?", text)
        self.statements = json.loads(text)["Statement"]

    def allows(self, action, resource="*", context=None):
        return any(s["Effect"] == "Allow" and any(like(action, a) for a in s["Action"]) and any(like(resource, r) for r in s["Resource"])
                   and self.holds(s.get("Condition", {}), context or {}) for s in self.statements)

    @staticmethod
    def holds(condition, context):
        for operator, keys in condition.items():
            match = {"StringEquals": str.__eq__, "StringLike": like, "ArnLike": like}[operator]
            for key, wanted in keys.items():
                wanted = [wanted] if isinstance(wanted, str) else wanted
                if not any(match(context.get(key, ""), w) for w in wanted):
                    return False
        return True


def arn(service, rest, account="123456789012", region="eu-central-1"):
    return f"arn:aws:{service}:{region}:{account}:{rest}"


S3_ACTIONS = {"HeadObject": "GetObject", "UploadPart": "PutObject", "CreateMultipartUpload": "PutObject", "CompleteMultipartUpload": "PutObject",
              "ListParts": "ListMultipartUploadParts", "ListObjectsV2": "ListBucket", "HeadBucket": "ListBucket"}


class Ledger:
    """needs(service, operation, params) -> [(action, resource, context)], remembering what earlier requests made."""

    def __init__(self, group_of=None, stage=VALUES["STAGE"]):
        """group_of: instance id -> name of its group."""
        self.images = {}  # parameters that templates name -> what reading them needs
        self.stage, self.group_of, self.tags, self.sealed = stage, group_of or (lambda id: ""), {}, {}

    def needs(self, service, operation, p):
        fn = getattr(self, service, None)
        assert fn, f"what {service}:{operation} needs is not known here"
        return fn(operation, p)

    def sts(self, op, p):
        return [] if op in ("GetCallerIdentity", "AssumeRoleWithWebIdentity") else [("sts:" + op, p["RoleArn"], {})]

    def s3(self, op, p):
        action = "s3:" + S3_ACTIONS.get(op, op)
        return [(action, f"arn:aws:s3:::{p['Bucket']}" + (f"/{p['Key']}" if action != "s3:ListBucket" else ""), {})]

    def ssm(self, op, p):
        name = p["Name"]
        out = [("ssm:" + op, name if name.startswith("arn:") else arn("ssm", "parameter" + name), {})]
        if op == "PutParameter":
            self.sealed[name] = p.get("Type") == "SecureString"
        if self.sealed.get(name):
            out.append(("kms:Encrypt" if op == "PutParameter" else "kms:Decrypt", arn("kms", "key/1"), {"kms:ViaService": "ssm.eu-central-1.amazonaws.com"}))
        return out

    def secretsmanager(self, op, p):
        return [("secretsmanager:" + op, arn("secretsmanager", f"secret:{p['SecretId']}-AbCdEf"), {})]

    def autoscaling(self, op, p):
        if op.startswith("Describe"):
            return [("autoscaling:" + op, "*", {})]
        name = p.get("AutoScalingGroupName") or self.group_of(p.get("InstanceId")) or (p.get("Tags") or [{}])[0].get("ResourceId", "")
        out = [("autoscaling:" + op, arn("autoscaling", f"autoScalingGroup:0-1:autoScalingGroupName/{name}"), {})]
        if op in ("CreateAutoScalingGroup", "UpdateAutoScalingGroup") and ("LaunchTemplate" in p or "MixedInstancesPolicy" in p):
            template = arn("ec2", "launch-template/lt-1")
            out += [("ec2:RunInstances", arn("ec2", kind + "/x"), {"ec2:LaunchTemplate": template}) for kind in ("instance", "volume", "subnet")]
            out.append(("iam:PassRole", arn("iam", f"role/bpd-{self.stage}-worker", region=""), {"iam:PassedToService": "ec2.amazonaws.com"}))
            out += self.images.values()
        if op == "LaunchInstances":
            out += [*self.images.values(), ("ec2:CreateFleet", arn("ec2", "fleet/x"), {}), ("ec2:DescribeLaunchTemplateVersions", "*", {})]
        return out

    def ec2(self, op, p):
        if op.startswith("Describe"):
            return [("ec2:" + op, "*", {})]
        resource, name = arn("ec2", "launch-template/lt-1"), p.get("LaunchTemplateName") or p.get("LaunchTemplateId")
        image = (p.get("LaunchTemplateData") or {}).get("ImageId", "")
        if image.startswith("resolve:ssm:"):
            self.images[image] = ("ssm:GetParameters", arn("ssm", "parameter" + image.removeprefix("resolve:ssm:")), {})
        if op == "CreateLaunchTemplate":
            self.tags[name] = {t["Key"]: t["Value"] for s in p.get("TagSpecification", []) for t in s["Tag"]}
            context = {f"aws:RequestTag/{k}": v for k, v in self.tags[name].items()}
            made = [("ec2:CreateTags", resource, {"ec2:CreateAction": op})] if self.tags[name] else []
            return [("ec2:" + op, resource, context), *made, *self.images.values()]
        known = self.tags.get(name) or next(iter(self.tags.values()), {})
        used = self.images.values() if op == "CreateLaunchTemplateVersion" else []
        return [("ec2:" + op, resource, {f"aws:ResourceTag/{k}": v for k, v in known.items()}), *used]

    def monitoring(self, op, p):
        names = [p["AlarmName"]] if "AlarmName" in p else p.get("AlarmNames") or [""]
        if op == "PutMetricData":
            return [("cloudwatch:" + op, "*", {"cloudwatch:namespace": p["Namespace"]})]
        if op == "DescribeAlarms":
            return [("cloudwatch:" + op, arn("cloudwatch", "alarm:*"), {})]
        if "Dashboard" in op:
            return [("cloudwatch:" + op, arn("cloudwatch", f"dashboard/{n}", region=""), {}) for n in [p.get("DashboardName")] if n]
        if "Alarm" in op:
            out = [("cloudwatch:" + op, arn("cloudwatch", f"alarm:{n}"), {}) for n in names]
            return out + [("cloudwatch:TagResource", arn("cloudwatch", f"alarm:{names[0]}"), {})] if p.get("Tags") else out
        return [("cloudwatch:" + op, "*", {})]

    def logs(self, op, p):
        if op.startswith("Describe"):
            return [("logs:" + op, "*", {})]
        stream = f":log-stream:{p['logStreamName']}" if op == "PutLogEvents" else ""
        return [("logs:" + op, arn("logs", f"log-group:{p['logGroupName']}{stream}"), {})]

    def sns(self, op, p):
        return [("sns:" + op, p["TopicArn"], {})]

    def missing(self, policy, service, operation, params):
        """What of it the policy does not allow, in words."""
        return [f"{a} on {r} {c or ''}".strip() for a, r, c in self.needs(service, operation, params) if not policy.allows(a, r, c)]
