# SPDX-License-Identifier: Apache-2.0
"""EC2 as far as a fleet asks it: launch templates, images, subnets, security groups, instances."""
from .errors import AwsError
from .forms import listed, true
from .service import Ec2Service


class Ec2(Ec2Service):
    """subnets: id -> zone; images: id -> state; security_groups: ids; templates: by name; notices: instances that have one."""
    signing = "ec2"

    def __init__(self, aws):
        super().__init__(aws)
        self.subnets = {f"subnet-{c * 8}": aws.region + c for c in "abc"}
        self.notices = set()
        self.spot_prices = {}  # (type, zone) -> $ of an hour
        self.images, self.security_groups, self.templates, self.ended = {"ami-11111111": "available"}, {"sg-11111111"}, {}, {}

    def zone_of(self, subnet):
        return self.subnets.get(subnet, self.aws.region + "a")

    def find(self, p):
        """The template that LaunchTemplateName or LaunchTemplateId names."""
        t = next((t for t in self.templates.values() if p.get("LaunchTemplateName", t["name"]) == t["name"]
                  and p.get("LaunchTemplateId", t["id"]) == t["id"]), None)
        if not t:
            raise AwsError("InvalidLaunchTemplateName.NotFoundException",
                           f"At least one of the launch templates specified in the request does not exist: {p.get('LaunchTemplateName')}")
        return t

    @staticmethod
    def number(t, wanted):
        return t["default"] if wanted == "$Default" else len(t["versions"]) if wanted == "$Latest" else int(wanted)

    def template_json(self, t):
        return {"launchTemplateId": t["id"], "launchTemplateName": t["name"], "createTime": t["created"], "createdBy": "fake",
                "defaultVersionNumber": t["default"], "latestVersionNumber": len(t["versions"]),
                "tagSet": [{"key": k, "value": v} for k, v in t["tags"].items()]}

    def version_json(self, t, n):
        v = t["versions"][n - 1]
        return {"launchTemplateId": t["id"], "launchTemplateName": t["name"], "versionNumber": n, "createTime": t["created"],
                "defaultVersion": n == t["default"], "versionDescription": v.get("VersionDescription"), "launchTemplateData": lower(v["LaunchTemplateData"])}

    @staticmethod
    def tags_of(p):
        return {t["Key"]: t.get("Value", "") for s in listed(p.get("TagSpecification")) for t in listed(s.get("Tag"))}

    def op_CreateLaunchTemplate(self, p):
        if p["LaunchTemplateName"] in self.templates:
            raise AwsError("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
        t = self.templates[p["LaunchTemplateName"]] = {"id": self.aws.id("lt-"), "name": p["LaunchTemplateName"], "default": 1, "versions": [p],
                                                       "created": self.aws.clock.iso(), "tags": self.tags_of(p)}
        return {"launchTemplate": self.template_json(t)}

    def op_CreateLaunchTemplateVersion(self, p):
        t = self.find(p)
        if p.get("SourceVersion"):
            p = {**p, "LaunchTemplateData": {**t["versions"][self.number(t, p["SourceVersion"]) - 1]["LaunchTemplateData"],
                                             **p.get("LaunchTemplateData", {})}}
        t["versions"].append(p)
        return {"launchTemplateVersion": self.version_json(t, len(t["versions"]))}

    def op_ModifyLaunchTemplate(self, p):
        t = self.find(p)
        t["default"] = self.number(t, p.get("SetDefaultVersion", "$Latest"))
        return {"launchTemplate": self.template_json(t)}

    def op_DescribeLaunchTemplates(self, p):
        names = listed(p.get("LaunchTemplateName"))
        for n in names:
            self.find({"LaunchTemplateName": n})
        return {"launchTemplates": [self.template_json(t) for t in self.templates.values() if not names or t["name"] in names]}

    def op_DescribeLaunchTemplateVersions(self, p):
        t = self.find(p)
        wanted = [self.number(t, v) for v in listed(p.get("LaunchTemplateVersion"))] or range(1, len(t["versions"]) + 1)
        return {"launchTemplateVersionSet": [self.version_json(t, n) for n in wanted if n <= len(t["versions"])]}

    def op_DescribeSpotPriceHistory(self, p):
        wanted = listed(p.get("InstanceType"))
        return {"spotPriceHistorySet": [
            {"instanceType": t, "productDescription": "Linux/UNIX", "spotPrice": f"{usd:.6f}", "timestamp": self.aws.clock.iso(),
             "availabilityZone": z} for (t, z), usd in self.spot_prices.items() if not wanted or t in wanted]}

    def op_DescribeImages(self, p):
        wanted = listed(p.get("ImageId"))
        for id in wanted:
            if id not in self.images:
                raise AwsError("InvalidAMIID.NotFound", f"The image id '[{id}]' does not exist")
        return {"imagesSet": [{"imageId": i, "imageState": s, "name": i, "architecture": "x86_64", "rootDeviceName": "/dev/xvda"}
                              for i, s in self.images.items() if not wanted or i in wanted]}

    def op_DescribeSubnets(self, p):
        wanted = listed(p.get("SubnetId"))
        for id in wanted:
            if id not in self.subnets:
                raise AwsError("InvalidSubnetID.NotFound", f"The subnet ID '{id}' does not exist")
        return {"subnetSet": [{"subnetId": s, "availabilityZone": z, "state": "available", "vpcId": "vpc-11111111"}
                              for s, z in self.subnets.items() if not wanted or s in wanted]}

    def op_DescribeSecurityGroups(self, p):
        wanted = listed(p.get("GroupId"))
        for id in wanted:
            if id not in self.security_groups:
                raise AwsError("InvalidGroup.NotFound", f"The security group '{id}' does not exist")
        return {"securityGroupInfo": [{"groupId": g, "groupName": g, "vpcId": "vpc-11111111"} for g in sorted(self.security_groups)
                                      if not wanted or g in wanted]}

    def op_DescribeInstances(self, p):
        wanted, states = listed(p.get("InstanceId")), {"Pending": (0, "pending"), "InService": (16, "running")}
        items = []
        for g in self.aws.autoscaling.groups.values():
            for i in g.instances:
                code, name = states.get(i.state.partition(":")[0], (32, "shutting-down"))
                if not wanted or i.id in wanted:
                    items.append({"instanceId": i.id, "instanceType": i.type, "instanceState": {"code": code, "name": name},
                                  "placement": {"availabilityZone": i.zone}, "launchTime": self.aws.clock.iso(i.launched),
                                  "instanceLifecycle": "spot" if i.market == "spot" else None})
        return {"reservationSet": [{"reservationId": "r-11111111", "instancesSet": items}]}

    def op_DescribeSpotInstanceRequests(self, p):
        wanted = [v for f in listed(p.get("Filter")) if f["Name"] == "status-code" for v in listed(f["Value"])]
        spots = [i for g in self.aws.autoscaling.groups.values() for i in g.instances if i.market == "spot"]
        items = [{"spotInstanceRequestId": "sir-" + i.id[-8:], "instanceId": i.id,
                  "status": {"code": "marked-for-termination" if i.id in self.notices else "fulfilled"}} for i in spots]
        return {"spotInstanceRequestSet": [i for i in items if not wanted or i["status"]["code"] in wanted]}

    def op_TerminateInstances(self, p):
        for id in listed(p.get("InstanceId")):
            g, i = self.aws.autoscaling.member(id)
            g.end(i)
        return {"instancesSet": []}


# Lists of a template's data are named in the singular in requests, as sets in answers.
SETS = {"BlockDeviceMapping": "blockDeviceMappingSet", "NetworkInterface": "networkInterfaceSet", "TagSpecification": "tagSpecificationSet",
        "SecurityGroupId": "securityGroupIdSet", "Tag": "tagSet"}


def lower(v):
    if isinstance(v, dict):
        return {SETS.get(k, k[:1].lower() + k[1:]): lower(x) for k, x in v.items()}
    return [lower(x) for x in v] if isinstance(v, list) else true(v) if v in ("true", "false") else v
