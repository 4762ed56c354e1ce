"""The deployer may perform what policies grant, and nothing else. The requests are recorded.

moto can check IAM policies, but neither resources nor conditions, and uses an operation's name as its action. This
replaces its check by the evaluator of the local environment (policies.py), with the permissions that needs.py derives
from a request.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import policies
from additions import ACCOUNT
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.exceptions import AccessDeniedError
from moto.s3.exceptions import S3AccessDeniedError
from needs import Need, needs, s3_need

DEPLOYER = "AKIALOCALDEPLOYER0000"
USER = f"arn:aws:iam::{ACCOUNT}:user/deployer"

policies.CONTEXT_KEYS.update(
    {
        "autoscaling:launchconfigurationname",
        "autoscaling:launchtemplateversionspecified",
        "autoscaling:loadbalancernames",
        "autoscaling:targetgrouparns",
        "autoscaling:trafficsourceidentifiers",
        "ec2:createaction",
        "ec2:launchtemplate",
        "iam:awsservicename",
        "iam:passedtoservice",
        "iam:permissionsboundary",
        "route53:changeresourcerecordsetsrecordtypes",
    }
)


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
        context = {"aws:requestedregion": region, "aws:securetransport": "true", **need.context}
        applying = [
            statement
            for statement in self.statements
            if policies.applies(statement, need.action, need.resource, context)
        ]
        denying = [statement["Sid"] for statement in applying if statement["Effect"] == "Deny"]
        granting = [statement["Sid"] for statement in applying if statement["Effect"] == "Allow"]
        if len(granting) == 1:
            self.needed.setdefault(granting[0], need.action)
        if denying or not granting:
            by = f" by {denying[0]}" if denying else ""
            self.refused.append(f"{need.action} {need.resource}{by}")
            return False
        return True


AUTHORISATION = Authorisation()


def apply() -> None:
    """Replaces moto's own check with this."""

    def normal(self: Any, resource: str = "*") -> None:
        check(self, needs, AccessDeniedError)

    def s3(self: Any, bucket_name: str | None = None, key_name: str | None = None) -> None:
        check(self, lambda response: [s3_need(response)], S3AccessDeniedError)

    ActionAuthenticatorMixin._authenticate_and_authorize_normal_action = normal
    ActionAuthenticatorMixin._authenticate_and_authorize_s3_action = s3


def check(response: Any, wanted: Any, refusal: type[Exception]) -> None:
    header = response.headers.get("Authorization", "")
    if f"Credential={DEPLOYER}/" not in header:
        return
    region = header.split("Credential=")[1].split("/")[2]
    for need in wanted(response):
        if need.action != "sts:GetCallerIdentity" and not AUTHORISATION.allows(need, region):
            if refusal is AccessDeniedError:
                raise AccessDeniedError(user_arn=USER, action=need.action)
            raise refusal()


def used() -> dict[str, Any]:
    """What the deployer requested."""
    return {
        "used": sorted(AUTHORISATION.used),
        "needed": AUTHORISATION.needed,
        "refused": AUTHORISATION.refused,
    }


def set_policies(documents: Iterable[str]) -> None:
    """The policies that are attached to the deployer, together."""
    AUTHORISATION.statements = []
    for document in documents:
        policies.check(document)
        AUTHORISATION.statements.extend(json.loads(document)["Statement"])
