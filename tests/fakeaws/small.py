# SPDX-License-Identifier: Apache-2.0
"""The services of which little is asked: STS, SSM, Secrets Manager, CloudWatch, its logs, SNS."""
from .errors import AwsError
from .forms import listed
from .service import JsonService, Service


class Sts(Service):
    """role_seconds: the life of an assumed role's set; web_tokens: what a web identity may show, None: anything."""
    signing = "sts"

    def __init__(self, aws):
        super().__init__(aws)
        self.role_seconds, self.web_tokens, self.principal = 3600, None, ""

    def call(self, request):
        self.principal = request.principal
        return super().call(request)

    def op_GetCallerIdentity(self, p):
        return {"Arn": self.principal, "UserId": "AIDAFAKE", "Account": self.aws.ACCOUNT}

    def assume(self, p):
        role = p["RoleArn"].rsplit("/", 1)[-1]
        k = self.aws.identity.issue(role, min(self.role_seconds, int(p.get("DurationSeconds", self.role_seconds))))
        return {"Credentials": {"AccessKeyId": k.id, "SecretAccessKey": k.secret, "SessionToken": k.token, "Expiration": self.aws.clock.iso(k.expires)},
                "AssumedRoleUser": {"Arn": k.principal, "AssumedRoleId": f"AROAFAKE:{p['RoleSessionName']}"}}

    op_AssumeRole = assume

    def op_AssumeRoleWithWebIdentity(self, p):
        if self.web_tokens is not None and p.get("WebIdentityToken") not in self.web_tokens:
            raise AwsError("InvalidIdentityToken", "The web identity token is not valid")
        return self.assume(p)


class Ssm(JsonService):
    signing = "ssm"

    def __init__(self, aws):
        super().__init__(aws)
        self.parameters = {}

    def op_PutParameter(self, p):
        known = self.parameters.get(p["Name"])
        if known and not p.get("Overwrite"):
            raise AwsError("ParameterAlreadyExists", "The parameter already exists.")
        self.parameters[p["Name"]] = {"Name": p["Name"], "Value": p["Value"], "Type": p.get("Type", (known or {}).get("Type", "String")),
                                      "Version": (known or {}).get("Version", 0) + 1,
                                      "ARN": f"arn:aws:ssm:{self.aws.region}:{self.aws.ACCOUNT}:parameter{p['Name']}"}
        return {"Version": self.parameters[p["Name"]]["Version"], "Tier": "Standard"}

    def op_GetParameter(self, p):
        found = self.parameters.get(p["Name"])
        if not found:
            raise AwsError("ParameterNotFound", "")
        sealed = found["Type"] == "SecureString" and not p.get("WithDecryption")
        return {"Parameter": {**found, "Value": "AQICAHsealed=="} if sealed else found}


class SecretsManager(JsonService):
    signing = "secretsmanager"

    def __init__(self, aws):
        super().__init__(aws)
        self.secrets = {}

    def op_GetSecretValue(self, p):
        if p["SecretId"] not in self.secrets:
            raise AwsError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        return {"Name": p["SecretId"], "SecretString": self.secrets[p["SecretId"]], "VersionId": "1" * 32}


class CloudWatch(Service):
    """data: every datum of PutMetricData, in order."""
    signing = "monitoring"

    def __init__(self, aws):
        super().__init__(aws)
        self.data, self.alarms, self.dashboards = [], {}, {}

    def op_PutMetricData(self, p):
        given = listed(p.get("MetricData"))
        if not given or len(given) > 1000:
            raise AwsError("InvalidParameterValue", f"{len(given)} metrics are not between 1 and 1000")
        self.data += [{"Namespace": p["Namespace"], **d} for d in given]

    def op_PutMetricAlarm(self, p):
        self.alarms[p["AlarmName"]] = p

    def op_DescribeAlarms(self, p):
        names, prefix = listed(p.get("AlarmNames")), p.get("AlarmNamePrefix", "")
        found = [a for n, a in self.alarms.items() if (not names or n in names) and n.startswith(prefix)]
        return {"MetricAlarms": [{k: v for k, v in a.items() if k not in ("Action", "Version", "Tags")} for a in found]}

    def op_DeleteAlarms(self, p):
        for n in listed(p.get("AlarmNames")):
            if self.alarms.pop(n, None) is None:
                raise AwsError("ResourceNotFound", f"Alarm {n} does not exist", 404)

    def op_PutDashboard(self, p):
        self.dashboards[p["DashboardName"]] = p["DashboardBody"]
        return {"DashboardValidationMessages": []}

    def op_GetDashboard(self, p):
        if p["DashboardName"] not in self.dashboards:
            raise AwsError("ResourceNotFound", f"Dashboard {p['DashboardName']} does not exist", 404)
        return {"DashboardName": p["DashboardName"], "DashboardBody": self.dashboards[p["DashboardName"]]}

    def op_DeleteDashboards(self, p):
        for n in listed(p.get("DashboardNames")):
            self.dashboards.pop(n, None)

    def op_GetMetricData(self, p):
        results = [{"Id": q["Id"], "Label": q["Id"], "StatusCode": "Complete", **self.samples(q)} for q in listed(p.get("MetricDataQueries"))]
        return {"MetricDataResults": results}

    def samples(self, q):
        m = (q.get("MetricStat") or {}).get("Metric") or {}
        wanted = {(d["Name"], d["Value"]) for d in listed(m.get("Dimensions"))}
        found = [d for d in self.data if d["MetricName"] == m.get("MetricName") and d["Namespace"] == m.get("Namespace")
                 and {(x["Name"], x["Value"]) for x in listed(d.get("Dimensions"))} == wanted]
        return {"Timestamps": [d["Timestamp"] for d in found], "Values": [d.get("Value", "0") for d in found]}


class Logs(JsonService):
    """groups: name -> {stream: [event]}; the limits of PutLogEvents are AWS'."""
    signing = "logs"

    def __init__(self, aws):
        super().__init__(aws)
        self.groups, self.retention = {}, {}

    def stream(self, p, create=False):
        group = self.groups.get(p["logGroupName"])
        if group is None:
            raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
        if create and p["logStreamName"] in group:
            raise AwsError("ResourceAlreadyExistsException", "The specified log stream already exists")
        if not create and p["logStreamName"] not in group:
            raise AwsError("ResourceNotFoundException", "The specified log stream does not exist.")
        return group.setdefault(p["logStreamName"], [])

    def op_CreateLogGroup(self, p):
        if p["logGroupName"] in self.groups:
            raise AwsError("ResourceAlreadyExistsException", "The specified log group already exists")
        self.groups[p["logGroupName"]] = {}

    def op_PutRetentionPolicy(self, p):
        self.retention[p["logGroupName"]] = p["retentionInDays"]

    def op_CreateLogStream(self, p):
        self.stream(p, create=True)

    def op_PutLogEvents(self, p):
        stream, events, now = self.stream(p), p["logEvents"], self.aws.clock.now() * 1000
        if not 1 <= len(events) <= 10000 or sum(len(e["message"].encode()) + 26 for e in events) > 1048576:
            raise AwsError("InvalidParameterException", "The batch is too large or empty.")
        times = [e["timestamp"] for e in events]
        if times != sorted(times) or times[-1] - times[0] > 86400000:
            raise AwsError("InvalidParameterException", "Log events in a single PutLogEvents request must be in chronological order.")
        old = sum(t < now - 14 * 86400000 for t in times)
        new = next((i for i, t in enumerate(times) if t > now + 2 * 3600000), None)
        stream += events[old:new]
        rejected = {**({"tooOldLogEventEndIndex": old} if old else {}), **({"tooNewLogEventStartIndex": new} if new is not None else {})}
        return {"nextSequenceToken": "1", **({"rejectedLogEventsInfo": rejected} if rejected else {})}

    def op_DescribeLogGroups(self, p):
        prefix = p.get("logGroupNamePrefix", "")
        return {"logGroups": [{"logGroupName": g} for g in self.groups if g.startswith(prefix)]}


class Sns(Service):
    """topics: ARNs; published: every message."""
    signing = "sns"

    def __init__(self, aws):
        super().__init__(aws)
        self.topics, self.published = {f"arn:aws:sns:{aws.region}:{aws.ACCOUNT}:operators"}, []

    def op_Publish(self, p):
        if p.get("TopicArn") not in self.topics:
            raise AwsError("NotFound", "Topic does not exist", 404)
        self.published.append(p)
        return {"MessageId": self.aws.id("m-")}
