# SPDX-License-Identifier: Apache-2.0
"""EC2 Auto Scaling: groups whose instances live by the fake's clock, with hooks, scaling activities and instance refreshes."""
import json

from .errors import AwsError
from .forms import listed, true
from .service import Service

LIVE = ("Pending", "Pending:Wait", "Pending:Proceed", "InService")


def wrong(message):
    return AwsError("ValidationError", message)


class Instance:
    def __init__(self, aws, group, type, zone, market):
        self.id, self.type, self.zone, self.market = aws.id("i-"), type, zone, market
        self.state, self.protected, self.launched = "Pending", group.protect_new, aws.clock.now()
        self.since, self.deadline, self.template = self.launched, None, group.template_version()

    def json(self):
        return {"InstanceId": self.id, "InstanceType": self.type, "AvailabilityZone": self.zone, "LifecycleState": self.state,
                "HealthStatus": "Healthy", "ProtectedFromScaleIn": self.protected, "LaunchTemplate": self.template}


class Group:
    def __init__(self, aws, p):
        self.aws, self.name, self.created = aws, p["AutoScalingGroupName"], aws.clock.now()
        self.p, self.instances, self.suspended, self.hooks = {}, [], set(), {}
        self.activities, self.refreshes, self.tokens, self.tags = [], [], {}, {}
        self.min = self.max = self.desired = 0
        self.killed_by_shrinking = []  # what a lower desired capacity ended, without being asked for by id
        self.last_failure = None
        self.update(p)

    def update(self, p):
        self.p.update({k: v for k, v in p.items() if k not in ("Action", "Version")})
        self.min, self.max = int(self.p.get("MinSize", 0)), int(self.p.get("MaxSize", 0))
        if "DesiredCapacity" in p:
            self.desired = int(p["DesiredCapacity"])
        self.desired = max(self.min, min(self.desired, self.max))
        self.protect_new = true(self.p.get("NewInstancesProtectedFromScaleIn"))
        self.tag(listed(p.get("Tags")))

    def tag(self, tags):
        for t in tags:
            self.tags[t["Key"]] = {**t, "ResourceId": self.name, "ResourceType": "auto-scaling-group"}

    # ---- what it launches ----

    def policy(self):
        return self.p.get("MixedInstancesPolicy") or {}

    def template(self):
        return (self.policy().get("LaunchTemplate") or {}).get("LaunchTemplateSpecification") or self.p.get("LaunchTemplate") or {}

    def template_version(self):
        t = self.aws.ec2.find(self.template()) if self.template() else None
        wanted = self.template().get("Version", "$Default")
        return {"LaunchTemplateId": t["id"], "LaunchTemplateName": t["name"], "Version": str(self.aws.ec2.number(t, wanted))} if t else None

    def types(self):
        overrides = listed((self.policy().get("LaunchTemplate") or {}).get("Overrides"))
        return [o["InstanceType"] for o in overrides if "InstanceType" in o] or ["g5.xlarge"]

    def places(self):
        """(subnet, zone) of each of its subnets; zones when it has none."""
        subnets = [s for s in self.p.get("VPCZoneIdentifier", "").split(",") if s]
        return [(s, self.aws.ec2.zone_of(s)) for s in subnets] or [("", z) for z in listed(self.p.get("AvailabilityZones"))] or \
               [("", self.aws.region + "a")]

    def market(self):
        d = self.policy().get("InstancesDistribution") or {}
        count = len(self.live())
        base, percent = int(d.get("OnDemandBaseCapacity", 0)), int(d.get("OnDemandPercentageAboveBaseCapacity", 100))
        if not self.policy() or count < base:
            return "on-demand"
        on_demand = sum(i.market == "on-demand" for i in self.live()) - base
        return "on-demand" if on_demand < (count + 1 - base) * percent // 100 else "spot"

    def live(self):
        return [i for i in self.instances if i.state in LIVE]

    def start(self, type, zone, market):
        i = Instance(self.aws, self, type, zone, market)
        self.instances.append(i)
        self.record(f"Launching a new EC2 instance: {i.id}", "Successful", "")
        return i

    def launch_one(self):
        market, first = self.market(), None
        for type in self.types():
            for subnet, zone in self.places():
                refused = self.aws.capacity.refusal_of(type, zone, market)
                if not refused:
                    return self.start(type, zone, market)
                first = first or (refused, subnet, zone)
        self.last_failure = self.aws.clock.now()
        self.record("Launching a new EC2 instance. Status Reason: " + first[0].text, "Failed", first[0].text, first[1], first[2])
        return None

    def record(self, description, status, message, subnet="", zone=""):
        details = {"Subnet ID": subnet, "Availability Zone": zone or self.places()[0][1]}
        self.activities.insert(0, {"ActivityId": self.aws.id("act-"), "AutoScalingGroupName": self.name, "Description": description,
                                   "Cause": "At the time the group was changed to its desired capacity.", "StartTime": self.aws.clock.iso(),
                                   "EndTime": self.aws.clock.iso(), "StatusCode": status, "StatusMessage": message[:255] or None,
                                   "Progress": 100, "Details": json.dumps(details)})

    # ---- time ----

    def tick(self):
        now = self.aws.clock.now()
        for i in list(self.instances):
            self.step(i, now)
        self.refresh_step()
        missing = self.desired - len(self.live())
        may = "Launch" not in self.suspended and (self.last_failure is None or now - self.last_failure >= 60)
        while missing > 0 and may and self.launch_one():
            missing -= 1

    def step(self, i, now):
        if i.state == "Pending" and now - i.since >= self.aws.capacity.boot_seconds:
            self.enter(i, "Pending:Wait" if self.hook("LAUNCHING") else "InService", self.hook("LAUNCHING"))
        if i.state == "Terminating" and self.hook("TERMINATING") and i.deadline is None:
            self.enter(i, "Terminating:Wait", self.hook("TERMINATING"))
        if i.state.endswith(":Wait") and now >= i.deadline:
            self.proceed(i, "ABANDON")
        if i.state == "Pending:Proceed":
            self.enter(i, "InService")
        if i.state in ("Terminating", "Terminating:Proceed") and self.aws.clock.now() - i.since >= self.aws.capacity.end_seconds:
            self.instances.remove(i)
            self.aws.ec2.ended[i.id] = now

    def enter(self, i, state, hook=None):
        i.state, i.since = state, self.aws.clock.now()
        i.deadline = i.since + int(hook.get("HeartbeatTimeout", 3600)) if hook else None
        for m in self.aws.machines:
            if state.startswith("Terminating") and m.pages.get("instance-id") == i.id:
                m.pages["autoscaling/target-lifecycle-state"] = "Terminated"

    def hook(self, which):
        return next((h for h in self.hooks.values() if h.get("LifecycleTransition", "").endswith(which)), None)

    def proceed(self, i, result):
        if i.state == "Pending:Wait":
            self.enter(i, "Pending:Proceed" if result == "CONTINUE" else "Terminating:Proceed")
        else:
            self.enter(i, "Terminating:Proceed")

    def end(self, i):
        self.enter(i, "Terminating")
        self.record(f"Terminating EC2 instance: {i.id}", "Successful", "")

    def shrink(self):
        """What AWS does with fewer: the oldest unprotected ones end."""
        for i in [i for i in self.live() if not i.protected][:max(0, len(self.live()) - self.desired)]:
            self.killed_by_shrinking.append(i.id)
            self.end(i)

    def refresh_step(self):
        for r in self.refreshes:
            if r["Status"] == "Pending":
                r["Status"] = "InProgress"
            elif r["Status"] == "InProgress":
                old = [i for i in self.live() if i.template != self.template_version()]
                r["InstancesToUpdate"] = len(old)
                r["PercentageComplete"] = 100 * (len(self.live()) - len(old)) // max(1, len(self.live()))
                if not old:
                    r.update(Status="Successful", PercentageComplete=100, EndTime=self.aws.clock.iso())
                elif not old[0].protected:
                    self.end(old[0])

    def json(self):
        p = self.p
        return {"AutoScalingGroupName": self.name, "AutoScalingGroupARN": f"arn:aws:autoscaling:{self.aws.region}:{self.aws.ACCOUNT}:"
                f"autoScalingGroup:fake:autoScalingGroupName/{self.name}", "MinSize": self.min, "MaxSize": self.max,
                "DesiredCapacity": self.desired, "DefaultCooldown": p.get("DefaultCooldown", 300), "LaunchTemplate": p.get("LaunchTemplate"),
                "MixedInstancesPolicy": p.get("MixedInstancesPolicy"), "CapacityRebalance": true(p.get("CapacityRebalance")),
                "DefaultInstanceWarmup": p.get("DefaultInstanceWarmup"), "VPCZoneIdentifier": p.get("VPCZoneIdentifier", ""),
                "AvailabilityZones": [z for _, z in self.places()], "HealthCheckType": p.get("HealthCheckType", "EC2"),
                "HealthCheckGracePeriod": p.get("HealthCheckGracePeriod", 0), "CreatedTime": self.aws.clock.iso(self.created),
                "NewInstancesProtectedFromScaleIn": self.protect_new, "Tags": list(self.tags.values()),
                "TerminationPolicies": listed(p.get("TerminationPolicies")) or ["Default"],
                "SuspendedProcesses": [{"ProcessName": s, "SuspensionReason": "User suspended"} for s in sorted(self.suspended)],
                "Instances": [i.json() for i in self.instances]}


class AutoScaling(Service):
    """no_launch_instances: as an endpoint that does not have the operation yet."""
    signing = "autoscaling"

    def __init__(self, aws):
        super().__init__(aws)
        self.groups, self.no_launch_instances = {}, False

    def tick(self):
        for g in self.groups.values():
            g.tick()

    def group(self, p):
        g = self.groups.get(p.get("AutoScalingGroupName"))
        if not g:
            raise wrong(f"AutoScalingGroup name not found - AutoScalingGroup {p.get('AutoScalingGroupName')} not found")
        return g

    def member(self, id):
        for g in self.groups.values():
            for i in g.instances:
                if i.id == id:
                    return g, i
        raise wrong(f"Instance Id not found - No managed instance found for instance ID: {id}")

    @staticmethod
    def paged(p, items, default, name):
        first, n = int(p.get("NextToken", 0)), int(p.get("MaxRecords", default))
        if n > 100:
            raise wrong("MaxRecords is too large")
        more = {"NextToken": first + n} if first + n < len(items) else {}
        return {name: items[first:first + n], **more}

    # ---- groups ----

    def op_CreateAutoScalingGroup(self, p):
        if p["AutoScalingGroupName"] in self.groups:
            raise AwsError("AlreadyExists", f"AutoScalingGroup by this name already exists - A group with the name "
                           f"{p['AutoScalingGroupName']} already exists")
        if "MinSize" not in p or "MaxSize" not in p:
            raise wrong("MinSize and MaxSize are required")
        self.groups[p["AutoScalingGroupName"]] = Group(self.aws, p)
        for h in listed(p.get("LifecycleHookSpecificationList")):
            self.groups[p["AutoScalingGroupName"]].hooks[h["LifecycleHookName"]] = h

    def op_UpdateAutoScalingGroup(self, p):
        g = self.group(p)
        g.update(p)
        g.shrink()

    def op_DeleteAutoScalingGroup(self, p):
        g = self.group(p)
        if g.instances and not true(p.get("ForceDelete")):
            raise AwsError("ResourceInUse", "The group has instances")
        del self.groups[g.name]

    def op_DescribeAutoScalingGroups(self, p):
        names = listed(p.get("AutoScalingGroupNames"))
        found = [g.json() for g in self.groups.values() if not names or g.name in names]
        return self.paged(p, found, 50, "AutoScalingGroups")

    def op_CreateOrUpdateTags(self, p):
        for t in listed(p.get("Tags")):
            self.group({"AutoScalingGroupName": t["ResourceId"]}).tag([t])

    def op_SuspendProcesses(self, p):
        self.group(p).suspended.update(listed(p.get("ScalingProcesses")))

    def op_ResumeProcesses(self, p):
        self.group(p).suspended.difference_update(listed(p.get("ScalingProcesses")))

    # ---- size ----

    def op_SetDesiredCapacity(self, p):
        g, to = self.group(p), int(p["DesiredCapacity"])
        if not g.min <= to <= g.max:
            side = f"above max value {g.max}" if to > g.max else f"below min value {g.min}"
            raise wrong(f"New SetDesiredCapacity value {to} is {side} for the AutoScalingGroup.")
        g.desired = to
        g.last_failure = None
        g.shrink()
        g.tick()

    def op_LaunchInstances(self, p):
        if self.no_launch_instances:
            raise AwsError("InvalidAction", "The action LaunchInstances is not valid for this web service.")
        g, n, token = self.group(p), int(p["RequestedCapacity"]), p.get("ClientToken", "")
        if token in g.tokens:
            return g.tokens[token]
        places = listed(p.get("SubnetIds")) or listed(p.get("AvailabilityZones"))
        if len(g.places()) > 1 and len(places) != 1:
            raise wrong("Exactly one Availability Zone or subnet is needed for a group with several")
        if g.desired + n > g.max:
            raise wrong(f"The requested capacity {n} would exceed the group's maximum size {g.max}")
        where = next(((s, z) for s, z in g.places() if not places or places[0] in (s, z)), None)
        if not where:
            raise wrong(f"{places[0]} is none of the group's")
        g.tokens[token] = self.launch(g, n, where, token)
        return g.tokens[token]

    def launch(self, g, n, where, token):
        made, errors = {}, []
        for _ in range(n):
            market = g.market()
            for type in g.types():
                refused = self.aws.capacity.refusal_of(type, where[1], market)
                if not refused:
                    i = g.start(type, where[1], market)
                    g.desired += 1
                    made.setdefault((type, market), []).append(i.id)
                    break
                errors.append({"InstanceType": type, "MarketType": market, "SubnetId": where[0], "AvailabilityZone": where[1],
                               "ErrorCode": refused.code, "ErrorMessage": refused.text})
        spots = [{"InstanceType": t, "MarketType": m, "SubnetId": where[0], "AvailabilityZone": where[1], "InstanceIds": ids}
                 for (t, m), ids in made.items()]
        return {"AutoScalingGroupName": g.name, "ClientToken": token, "Instances": spots, "Errors": errors}

    def op_TerminateInstanceInAutoScalingGroup(self, p):
        g, i = self.member(p["InstanceId"])
        if i.state.startswith("Terminating"):
            raise AwsError("ScalingActivityInProgress", f"The instance {i.id} is already terminating")
        if true(p.get("ShouldDecrementDesiredCapacity")):
            if g.desired - 1 < g.min:
                raise wrong(f"Currently, desiredSize equals minSize ({g.min}). Terminating instance without replacement will violate group's "
                            "min size constraint.")
            g.desired -= 1
        g.end(i)
        return {"Activity": g.activities[0]}

    def op_SetInstanceProtection(self, p):
        for id in listed(p.get("InstanceIds")):
            g, i = self.member(id)
            if i.state != "InService":
                raise wrong(f"The instance {id} is not in InService")
            i.protected = true(p.get("ProtectedFromScaleIn"))

    def op_DescribeScalingActivities(self, p):
        names = [p["AutoScalingGroupName"]] if "AutoScalingGroupName" in p else list(self.groups)
        found = [a for n in names for a in self.group({"AutoScalingGroupName": n}).activities]
        return self.paged(p, sorted(found, key=lambda a: a["ActivityId"], reverse=True), 100, "Activities")

    # ---- hooks ----

    def op_PutLifecycleHook(self, p):
        known = self.group(p).hooks.get(p["LifecycleHookName"], {})
        self.group(p).hooks[p["LifecycleHookName"]] = {**known, **{k: v for k, v in p.items() if k not in ("Action", "Version")}}

    def op_DescribeLifecycleHooks(self, p):
        names = listed(p.get("LifecycleHookNames"))
        return {"LifecycleHooks": [{"HeartbeatTimeout": 3600, "DefaultResult": "ABANDON", "GlobalTimeout": 172800, **h}
                                   for h in self.group(p).hooks.values() if not names or h["LifecycleHookName"] in names]}

    def op_DeleteLifecycleHook(self, p):
        self.group(p).hooks.pop(p["LifecycleHookName"], None)

    def waiting(self, p):
        g, i = self.member(p["InstanceId"])
        if p["LifecycleHookName"] not in g.hooks or not i.state.endswith(":Wait"):
            raise wrong(f"No active Lifecycle Action found with instance ID {i.id}")
        return g, i

    def op_RecordLifecycleActionHeartbeat(self, p):
        g, i = self.waiting(p)
        i.deadline = self.aws.clock.now() + int(g.hooks[p["LifecycleHookName"]].get("HeartbeatTimeout", 3600))

    def op_CompleteLifecycleAction(self, p):
        g, i = self.waiting(p)
        g.proceed(i, p["LifecycleActionResult"])

    # ---- refreshes ----

    def op_StartInstanceRefresh(self, p):
        g = self.group(p)
        if any(r["Status"] in ("Pending", "InProgress") for r in g.refreshes):
            raise AwsError("InstanceRefreshInProgress", "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh.")
        g.refreshes.insert(0, {"InstanceRefreshId": self.aws.id("refresh-"), "AutoScalingGroupName": g.name, "Status": "Pending",
                               "StartTime": self.aws.clock.iso(), "PercentageComplete": 0, "InstancesToUpdate": len(g.live()),
                               "Preferences": p.get("Preferences")})
        return {"InstanceRefreshId": g.refreshes[0]["InstanceRefreshId"]}

    def op_DescribeInstanceRefreshes(self, p):
        ids = listed(p.get("InstanceRefreshIds"))
        return self.paged(p, [r for r in self.group(p).refreshes if not ids or r["InstanceRefreshId"] in ids], 50, "InstanceRefreshes")

    def op_CancelInstanceRefresh(self, p):
        running = [r for r in self.group(p).refreshes if r["Status"] in ("Pending", "InProgress")]
        if not running:
            raise AwsError("ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found for Auto Scaling group " + p["AutoScalingGroupName"])
        running[0].update(Status="Cancelled", StatusReason="Cancelled by user.", EndTime=self.aws.clock.iso())
        return {"InstanceRefreshId": running[0]["InstanceRefreshId"]}
