"""The operation of an AWS request: the IAM action, the resource, and the condition keys."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, parse_qsl, unquote

ACCOUNT = "123456789012"

SECRETSMANAGER = {
    "CreateSecret", "DeleteResourcePolicy", "DeleteSecret", "DescribeSecret", "GetResourcePolicy", "GetSecretValue",
    "ListSecretVersionIds", "ListSecrets", "PutResourcePolicy", "PutSecretValue", "RestoreSecret", "TagResource",
    "UntagResource", "UpdateSecret", "UpdateSecretVersionStage",
}  # fmt: skip
SSM = {"GetParameter", "SendCommand", "GetCommandInvocation"}
STS = {"GetCallerIdentity"}
SERVICE_QUOTAS = {"GetServiceQuota"}
# Look-ups, and what a test needs to prepare them. The local environment's instances are containers, not moto's.
EC2 = {
    "AssociateAddress", "CreateVpc", "DescribeAddresses", "DescribeImages", "DescribeInstanceTypeOfferings",
    "DescribeInstanceTypes", "DescribeInstances", "DescribeRegions", "DescribeSubnets", "DescribeVpcs", "TerminateInstances",
}  # fmt: skip
IAM = {
    "AddRoleToInstanceProfile", "AttachRolePolicy", "CreateInstanceProfile", "CreatePolicy", "CreateRole",
    "DeleteInstanceProfile", "DeletePolicy", "DeleteRole", "DeleteRolePermissionsBoundary", "DeleteRolePolicy",
    "DetachRolePolicy", "GetInstanceProfile", "GetPolicy", "GetRole", "GetRolePolicy", "ListAttachedRolePolicies",
    "ListInstanceProfiles", "ListInstanceProfilesForRole", "ListRolePolicies", "ListRoles", "PutRolePermissionsBoundary",
    "PutRolePolicy", "RemoveRoleFromInstanceProfile", "TagInstanceProfile", "TagRole", "UntagInstanceProfile",
    "UntagRole", "UpdateAssumeRolePolicy", "UpdateRole",
}  # fmt: skip

# By method and subresource (a query parameter that selects something other than the bucket or object itself).
S3_BUCKET = {
    ("PUT", ""): "CreateBucket",
    ("HEAD", ""): "ListBucket",
    ("GET", ""): "ListBucket",
    ("DELETE", ""): "DeleteBucket",
    ("POST", "delete"): "DeleteObject",
    ("GET", "versions"): "ListBucketVersions",
    ("GET", "location"): "GetBucketLocation",
    ("GET", "policy"): "GetBucketPolicy",
    ("PUT", "policy"): "PutBucketPolicy",
    ("DELETE", "policy"): "DeleteBucketPolicy",
    ("GET", "tagging"): "GetBucketTagging",
    ("PUT", "tagging"): "PutBucketTagging",
    ("DELETE", "tagging"): "PutBucketTagging",
    ("GET", "publicAccessBlock"): "GetBucketPublicAccessBlock",
    ("PUT", "publicAccessBlock"): "PutBucketPublicAccessBlock",
    ("DELETE", "publicAccessBlock"): "PutBucketPublicAccessBlock",
    ("GET", "encryption"): "GetEncryptionConfiguration",
    ("PUT", "encryption"): "PutEncryptionConfiguration",
    ("DELETE", "encryption"): "PutEncryptionConfiguration",
    ("GET", "ownershipControls"): "GetBucketOwnershipControls",
    ("PUT", "ownershipControls"): "PutBucketOwnershipControls",
    ("DELETE", "ownershipControls"): "PutBucketOwnershipControls",
    ("GET", "versioning"): "GetBucketVersioning",
    ("PUT", "versioning"): "PutBucketVersioning",
    ("GET", "lifecycle"): "GetLifecycleConfiguration",
    ("PUT", "lifecycle"): "PutLifecycleConfiguration",
    ("DELETE", "lifecycle"): "PutLifecycleConfiguration",
}
S3_OBJECT = {
    ("GET", ""): "GetObject",
    ("HEAD", ""): "GetObject",
    ("PUT", ""): "PutObject",
    ("DELETE", ""): "DeleteObject",
    # Multipart uploads of large objects.
    ("POST", "uploads"): "PutObject",
    ("PUT", "partNumber,uploadId"): "PutObject",
    ("POST", "uploadId"): "PutObject",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("GET", "tagging"): "GetObjectTagging",
    ("PUT", "tagging"): "PutObjectTagging",
    ("DELETE", "tagging"): "DeleteObjectTagging",
}
# Query parameters that are not a subresource.
S3_PARAMETERS = {
    "continuation-token", "delimiter", "encoding-type", "fetch-owner", "key-marker", "list-type", "marker", "max-keys",
    "prefix", "start-after", "version-id-marker", "x-id",
}  # fmt: skip


class UnknownOperation(Exception):
    """The operation is not emulated; the message names it."""


@dataclass(frozen=True)
class Operation:
    service: str
    name: str
    resource: str = "*"
    parameters: dict = field(default_factory=dict)
    # Condition keys in lower case.
    context: dict[str, str] = field(default_factory=dict)

    @property
    def action(self) -> str:
        return f"{self.service}:{self.name}"


def identify(service: str, region: str, environ: dict, body: bytes) -> Operation:
    """Identifies the operation of a signed request. `body` is only read for services other than S3."""
    readers = {
        "secretsmanager": _json, "ssm": _json, "servicequotas": _json, "iam": _query, "sts": _query, "ec2": _ec2,
        "s3": _s3, "lambda": _lambda, "route53": _route53,
    }  # fmt: skip
    if service not in readers:
        asked = environ.get("HTTP_X_AMZ_TARGET", "").split(".")[-1]
        asked = asked or parse_qs(body.decode(errors="replace")).get("Action", [environ["PATH_INFO"]])[0]
        raise UnknownOperation(f"{service}:{asked}")
    return readers[service](service, region, environ, body)


def _json(service: str, region: str, environ: dict, body: bytes) -> Operation:
    name = environ.get("HTTP_X_AMZ_TARGET", "").split(".")[-1]
    if name not in {"secretsmanager": SECRETSMANAGER, "ssm": SSM, "servicequotas": SERVICE_QUOTAS}[service]:
        raise UnknownOperation(f"{service}:{name}")
    parameters = json.loads(body or b"{}")
    resource = _secret_arn(parameters, region) if service == "secretsmanager" else _ssm_arn(name, parameters, region)
    context = {"secretsmanager:versionstage": parameters["VersionStage"]} if "VersionStage" in parameters else {}
    return Operation(service, name, resource, parameters, context)


def _secret_arn(parameters: dict, region: str) -> str:
    """IAM evaluates the whole ARN, however the caller named the secret."""
    from moto.secretsmanager.models import secretsmanager_backends

    given = parameters.get("SecretId", parameters.get("Name", "*"))
    secrets = secretsmanager_backends[ACCOUNT][region].secrets
    if given in secrets:
        return secrets[given].arn
    return given if given.startswith(("arn:", "*")) else f"arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:{given}-??????"


def _ssm_arn(name: str, parameters: dict, region: str) -> str:
    if name == "GetParameter":
        parameter = parameters.get("Name", "")
        # A public parameter belongs to no account.
        owner = "" if parameter.startswith("/aws/") else ACCOUNT
        return f"arn:aws:ssm:{region}:{owner}:parameter/{parameter.removeprefix('/')}"
    return "*"


def _query(service: str, region: str, environ: dict, body: bytes) -> Operation:
    parameters = dict(parse_qsl(body.decode()))
    name = parameters.get("Action", "")
    if name not in {"iam": IAM, "sts": STS}[service]:
        raise UnknownOperation(f"{service}:{name or environ['PATH_INFO']}")
    if "PolicyArn" in parameters and "RoleName" not in parameters:
        return Operation(service, name, parameters["PolicyArn"], parameters)
    profile = parameters.get("InstanceProfileName")
    entity = f"instance-profile/{profile}" if profile else f"role/{parameters.get('RoleName', '*')}"
    if name == "CreatePolicy":
        entity = f"policy/{parameters['PolicyName']}"
    return Operation(service, name, f"arn:aws:iam::{ACCOUNT}:{entity}", parameters)


def _ec2(service: str, region: str, environ: dict, body: bytes) -> Operation:
    parameters = dict(parse_qsl(body.decode()))
    name = parameters.get("Action", "")
    if name not in EC2:
        raise UnknownOperation(f"ec2:{name}")
    return Operation(service, name, parameters=parameters)


def _route53(service: str, region: str, environ: dict, body: bytes) -> Operation:
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    zone = re.fullmatch(r"/2013-04-01/hostedzone(/[A-Z0-9]+)?", path)
    names = {("GET", False): "ListHostedZones", ("GET", True): "GetHostedZone", ("POST", False): "CreateHostedZone"}
    name = names.get((method, zone[1] is not None)) if zone else None
    if name is None:
        raise UnknownOperation(f"route53: {method} {path}")
    return Operation(service, name, f"arn:aws:route53:::hostedzone{zone[1]}" if zone and zone[1] else "*")


def _s3(service: str, region: str, environ: dict, body: bytes) -> Operation:
    bucket, key = _bucket_and_key(environ)
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    method = environ["REQUEST_METHOD"]
    if not bucket:
        return Operation("s3", "ListAllMyBuckets") if method == "GET" else _refuse_s3(method, "/", query)
    subresource = ",".join(sorted(query.keys() - S3_PARAMETERS))
    name = (S3_OBJECT if key else S3_BUCKET).get((method, subresource))
    if name is None or "HTTP_X_AMZ_COPY_SOURCE" in environ:
        return _refuse_s3(method, "/BUCKET/KEY" if key else "/BUCKET", query)
    resource = f"arn:aws:s3:::{bucket}" + (f"/{key}" if key else "/*" if name == "DeleteObject" else "")
    context = {"s3:prefix": query["prefix"]} if "prefix" in query else {}
    return Operation("s3", name, resource, {"Bucket": bucket, "Key": key}, context)


def _lambda(service: str, region: str, environ: dict, body: bytes) -> Operation:
    found = re.fullmatch(r"/2015-03-31/functions/([^/]+)/invocations", environ["PATH_INFO"])
    if environ["REQUEST_METHOD"] != "POST" or not found:
        raise UnknownOperation(f"lambda: {environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
    name = unquote(found[1])
    resource = f"arn:aws:lambda:{region}:{ACCOUNT}:function:{name}"
    return Operation(service, "InvokeFunction", resource, {"FunctionName": name})


def _bucket_and_key(environ: dict) -> tuple[str, str]:
    """Bucket and key, from the path or from a virtual host name BUCKET.HOST and the path."""
    path = unquote(environ.get("RAW_URI", environ["PATH_INFO"]).split("?")[0]).lstrip("/")
    host = re.sub(r":\d+$", "", environ.get("HTTP_HOST", ""))
    if "." in host and not _is_address(host):
        return host.split(".")[0], path
    bucket, _, key = path.partition("/")
    return bucket, key


def _is_address(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return False


def _refuse_s3(method: str, path: str, query: dict) -> Operation:
    raise UnknownOperation(f"s3: {method} {path}{'?' if query else ''}{'&'.join(sorted(query))}")
