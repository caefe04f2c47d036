# SPDX-License-Identifier: Apache-2.0
"""What there is to launch, and the words in which there is not: a launch asks here, and a test says what to refuse."""

TYPE, ZONE = "g5.xlarge", "eu-central-1a"

# Text of a scaling activity -> (code that LaunchInstances gives, class the operator is to see).
CAPACITY_TEXTS = {
    "spot": ("Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity due to your request configuration. "
             "There is no Spot capacity available that matches your request. Launching EC2 instance failed.",
             "UnfulfillableCapacity", "capacity"),
    "insufficient": (f"We currently do not have sufficient {TYPE} capacity in the Availability Zone you requested ({ZONE}). Our system will be "
                     f"working on provisioning additional capacity. You can currently get {TYPE} capacity by not specifying an Availability Zone "
                     "in your request. Launching EC2 instance failed.", "InsufficientInstanceCapacity", "capacity"),
    "no-spot-now": ("Could not launch Spot Instances. InsufficientInstanceCapacity - There is no Spot capacity available that matches your request. "
                    "Launching EC2 instance failed.", "InsufficientInstanceCapacity", "capacity"),
    "zone": (f"Your requested instance type ({TYPE}) is not supported in your requested Availability Zone ({ZONE}). Please retry your request by "
             "not specifying an Availability Zone. Launching EC2 instance failed.", "Unsupported", "capacity"),
    "price": ("Could not launch Spot Instances. SpotMaxPriceTooLow - Your Spot request price of 0.1 is lower than the minimum required Spot "
              "request fulfillment price of 0.4. Launching EC2 instance failed.", "SpotMaxPriceTooLow", "capacity"),
    "spot-quota": ("Could not launch Spot Instances. MaxSpotInstanceCountExceeded - Max spot instance count exceeded. Launching EC2 instance failed.",
                   "MaxSpotInstanceCountExceeded", "quota"),
    "vcpu-quota": ("You have requested more vCPU capacity than your current vCPU limit of 8 allows for the instance bucket that the specified "
                   "instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit. "
                   "Launching EC2 instance failed.", "VcpuLimitExceeded", "quota"),
    "image": ("The image id '[ami-0123456789abcdef0]' does not exist. Launching EC2 instance failed.", "InvalidAMIID.NotFound", "image"),
    "subnet": ("The subnet ID 'subnet-0123456789abcdef0' does not exist. Launching EC2 instance failed.", "InvalidSubnetID.NotFound", "network"),
    "role": ("You are not authorized to perform this operation. Encoded authorization failure message: AbC-dEf. Launching EC2 instance failed.",
             "UnauthorizedOperation", "denied"),
    "strange": ("A mishap that no table has. Launching EC2 instance failed.", "Mishap", "other"),
}


class Refusal:
    """One reason not to launch; None matches any."""

    def __init__(self, what, type=None, zone=None, market=None, times=None):
        self.text, self.code, _ = CAPACITY_TEXTS[what]
        self.type, self.zone, self.market, self.times = type, zone, market, times

    def takes(self, type, zone, market):
        if self.times == 0 or self.type not in (None, type) or self.zone not in (None, zone) or self.market not in (None, market):
            return False
        if self.times:
            self.times -= 1
        return True


class Capacity:
    """boot_seconds: Pending lasts so long. end_seconds: so does Terminating."""

    def __init__(self):
        self.refusals, self.boot_seconds, self.end_seconds = [], 0.0, 0.0

    def refuse(self, what, **where):
        """what: a key of CAPACITY_TEXTS; where: type, zone, market ("spot", "on-demand"), times."""
        refusal = Refusal(what, **where)
        self.refusals.append(refusal)
        return refusal

    def clear(self):
        self.refusals = []

    def refusal_of(self, type, zone, market):
        return next((r for r in self.refusals if r.takes(type, zone, market)), None)
