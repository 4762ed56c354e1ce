"""The deployer may perform what a policy grants, and nothing else. The requests are recorded.

moto can check IAM policies, but neither resources nor conditions, and uses an operation's name as its action. This
replaces its check. For S3, IAM, Secrets Manager, EventBridge Scheduler and Budgets it also checks the resource, for
other services only the action. IMPLIED lists what an operation needs in addition to its own action (`iam:PassRole`,
tags), according to AWS's service authorization reference.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlparse

import operations
import policies
from additions import ACCOUNT
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.exceptions import AccessDeniedError
from moto.iam.models import iam_backends
from moto.s3.exceptions import S3AccessDeniedError
from moto.secretsmanager.models import secretsmanager_backends

DEPLOYER = "AKIALOCALDEPLOYER0000"
USER = f"arn:aws:iam::{ACCOUNT}:user/deployer"

policies.CONTEXT_KEYS.update({"iam:passedtoservice", "iam:awsservicename"})

# Subresources that the AWS provider reads for every bucket, in addition to those that the instance and the fakes use.
S3_BUCKET = operations.S3_BUCKET | {
    ("GET", "accelerate"): "GetAccelerateConfiguration",
    ("GET", "acl"): "GetBucketAcl",
    ("GET", "cors"): "GetBucketCORS",
    ("GET", "logging"): "GetBucketLogging",
    ("GET", "object-lock"): "GetBucketObjectLockConfiguration",
    ("GET", "replication"): "GetReplicationConfiguration",
    ("GET", "requestPayment"): "GetBucketRequestPayment",
    ("GET", "website"): "GetBucketWebsite",
    ("GET", "policyStatus"): "GetBucketPolicyStatus",
}
# Budgets' actions have other names than its operations.
BUDGETS = {"ListTagsForResource": "ListTagsForResource", "Describe": "ViewBudget", "": "ModifyBudget"}


@dataclass(frozen=True)
class Need:
    """A permission that a request needs."""

    action: str
    resource: str = "*"
    context: tuple[tuple[str, str], ...] = ()


@dataclass
class Authorisation:
    """What the deployer is allowed to do, and did."""

    statements: list[dict[str, Any]] | None = None
    used: set[str] = field(default_factory=set)
    # By Sid: an action that no other statement grants.
    needed: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def allows(self, need: Need, region: str) -> bool:
        self.used.add(need.action)
        if self.statements is None:
            return True
        context = {"aws:requestedregion": region, "aws:securetransport": "true", **dict(need.context)}
        granting = [
            statement["Sid"]
            for statement in self.statements
            if policies.is_allowed([json.dumps({"Statement": [statement]})], need.action, need.resource, context)
        ]
        if len(granting) == 1:
            self.needed.setdefault(granting[0], need.action)
        if not granting:
            self.refused.append(f"{need.action} {need.resource}")
        return bool(granting)


AUTHORISATION = Authorisation()


def apply() -> None:
    """Replaces moto's own check with this."""

    def normal(self: Any, resource: str = "*") -> None:
        check(self, needs(self), AccessDeniedError)

    def s3(self: Any, bucket_name: str | None = None, key_name: str | None = None) -> None:
        check(self, [s3_need(self)], S3AccessDeniedError)

    ActionAuthenticatorMixin._authenticate_and_authorize_normal_action = normal
    ActionAuthenticatorMixin._authenticate_and_authorize_s3_action = s3


def check(response: Any, wanted: list[Need], refusal: type[Exception]) -> None:
    header = response.headers.get("Authorization", "")
    if f"Credential={DEPLOYER}/" not in header:
        return
    region = header.split("Credential=")[1].split("/")[2]
    for need in wanted:
        if need.action != "sts:GetCallerIdentity" and not AUTHORISATION.allows(need, region):
            if refusal is AccessDeniedError:
                raise AccessDeniedError(user_arn=USER, action=need.action)
            raise refusal()


def needs(response: Any) -> list[Need]:
    """The operation's own permission and the implied ones."""
    service = response.headers["Authorization"].split("Credential=")[1].split("/")[3]
    name = response._get_action()
    parameters = parameters_of(response)
    if service == "budgets":
        name = next(action for prefix, action in BUDGETS.items() if name.startswith(prefix))
    own = Need(f"{service}:{name}", resource_of(service, response, parameters))
    return [own, *implied(service, response._get_action(), parameters)]


def parameters_of(response: Any) -> dict[str, Any]:
    """The JSON of the body, or the first value of each field of a form."""
    body = response.body if isinstance(response.body, str) else (response.body or b"").decode(errors="replace")
    if body.startswith("{"):
        return json.loads(body)
    return {name: values[0] for name, values in response.querystring.items() if values}


def resource_of(service: str, response: Any, parameters: dict[str, Any]) -> str:
    if service == "iam":
        profile = parameters.get("InstanceProfileName")
        return f"arn:aws:iam::{ACCOUNT}:" + (
            f"instance-profile/{profile}" if profile else f"role/{parameters.get('RoleName', '*')}"
        )
    if service == "secretsmanager":
        given = parameters.get("SecretId", parameters.get("Name", "*"))
        secrets = secretsmanager_backends[ACCOUNT][response.region].secrets
        known = next((secret.arn for name, secret in secrets.items() if given in (name, secret.arn)), None)
        return known or f"arn:aws:secretsmanager:{response.region}:{ACCOUNT}:secret:{given}-AbCdEf"
    path = unquote(urlparse(response.uri).path)
    if service == "ssm":
        return f"arn:aws:ssm:{response.region}::parameter/{parameters.get('Name', '*').removeprefix('/')}"
    if service == "route53":
        found = re.search(r"/(hostedzone|change)/([^/?]+)", path)
        return f"arn:aws:route53:::{found[1]}/{found[2]}" if found else "*"
    if service == "scheduler":
        name = re.search(r"/schedules/([^/?]+)", path)
        return f"arn:aws:scheduler:{response.region}:{ACCOUNT}:schedule/default/{name[1] if name else '*'}"
    if service == "budgets":
        name = parameters.get("BudgetName", parameters.get("Budget", {}).get("BudgetName", ""))
        return parameters.get("ResourceARN") or f"arn:aws:budgets::{ACCOUNT}:budget/{name}"
    return "*"


def implied(service: str, operation: str, parameters: dict[str, Any]) -> list[Need]:
    """What AWS checks in addition: roles that are passed, and tags of what is created."""
    found = []
    if service == "ec2" and any(key.startswith("TagSpecification") for key in parameters):
        found.append(Need("ec2:CreateTags"))
    profile = parameters.get("IamInstanceProfile.Name")
    if operation == "RunInstances" and profile:
        found.extend(pass_role(role.arn, "ec2.amazonaws.com") for role in roles_of_profile(profile))
    if operation == "CreateAutoScalingGroup":
        # The group starts instances with the permissions of its creator, and the role of the template's profile.
        found.append(Need("ec2:RunInstances"))
        found.extend(
            pass_role(role.arn, "ec2.amazonaws.com")
            for profile in iam_backends[ACCOUNT]["aws"].instance_profiles.values()
            for role in profile.roles
        )
    if service == "scheduler" and operation in ("CreateSchedule", "UpdateSchedule"):
        found.append(pass_role(parameters["Target"]["RoleArn"], "scheduler.amazonaws.com"))
    if operation == "CreateSecret" and parameters.get("Tags"):
        name = parameters["Name"]
        found.append(
            Need("secretsmanager:TagResource", f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:{name}-AbCdEf")
        )
    if service == "elasticloadbalancing" and operation.startswith("Create") and "Tags.member.1.Key" in parameters:
        found.append(Need("elasticloadbalancing:AddTags"))
    if operation == "RequestCertificate" and parameters.get("Tags"):
        found.append(Need("acm:AddTagsToCertificate"))
    return found


def pass_role(arn: str, to: str) -> Need:
    return Need("iam:PassRole", arn, (("iam:passedtoservice", to),))


def roles_of_profile(name: str) -> list[Any]:
    return iam_backends[ACCOUNT]["aws"].get_instance_profile(name).roles


def s3_need(response: Any) -> Need:
    """IAM's action for an operation of S3, with the bucket in the path."""
    url = urlparse(response.uri)
    bucket, _, key = unquote(url.path).lstrip("/").partition("/")
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    subresource = ",".join(sorted(query.keys() - operations.S3_PARAMETERS))
    table = operations.S3_OBJECT if key else S3_BUCKET
    name = table.get((response.method, subresource))
    if not bucket:
        return Need("s3:ListAllMyBuckets")
    if name is None:
        return Need(f"s3:{response.method} ?{subresource}")
    resource = f"arn:aws:s3:::{bucket}" + (f"/{key}" if key else "/*" if name == "DeleteObject" else "")
    return Need(f"s3:{name}", resource)


def used() -> dict[str, Any]:
    """What the deployer requested."""
    return {
        "used": sorted(AUTHORISATION.used),
        "needed": AUTHORISATION.needed,
        "refused": AUTHORISATION.refused,
    }


def set_policy(document: str) -> None:
    policies.check(document)
    AUTHORISATION.statements = json.loads(document)["Statement"]
