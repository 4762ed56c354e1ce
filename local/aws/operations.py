"""The operation of an AWS request: the IAM action, the resource, and the condition keys."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

ACCOUNT = "123456789012"

# What policies are evaluated for, by method and subresource (a query parameter that selects something other than the
# bucket or object itself).
S3_BUCKET = {
    ("HEAD", ""): "ListBucket",
    ("GET", ""): "ListBucket",
    ("PUT", "policy"): "PutBucketPolicy",
}
S3_OBJECT = {
    ("GET", ""): "GetObject",
    ("HEAD", ""): "GetObject",
    ("PUT", ""): "PutObject",
    ("DELETE", ""): "DeleteObject",
}
# Query parameters that are not a subresource.
S3_PARAMETERS = {
    "continuation-token", "delimiter", "encoding-type", "fetch-owner", "key-marker", "list-type", "marker", "max-keys",
    "prefix", "start-after", "version-id-marker", "x-id",
}  # fmt: skip


class UnknownOperation(Exception):
    """The operation is not emulated for this principal; the message names it."""


@dataclass(frozen=True)
class Operation:
    service: str
    name: str
    # None if it is not known which resources the operation is about: policies cannot be evaluated for it.
    resource: str | None = None
    parameters: dict = field(default_factory=dict)
    # Condition keys in lower case.
    context: dict[str, str] = field(default_factory=dict)

    @property
    def action(self) -> str:
        return f"{self.service}:{self.name}"


def identify(service: str, region: str, environ: dict, body: bytes) -> Operation:
    """Identifies the operation of a signed request. `body` is only read for services other than S3.

    An operation of a service with a REST protocol that is not known here has its method and path as its name.
    """
    if service == "s3":
        return _s3(environ)
    if "HTTP_X_AMZ_TARGET" in environ:
        return _json(service, region, environ["HTTP_X_AMZ_TARGET"].split(".")[-1], body)
    if environ["PATH_INFO"] == "/" and environ["REQUEST_METHOD"] == "POST":
        return _query(service, dict(parse_qsl(body.decode())))
    return _rest(service, region, environ)


def _json(service: str, region: str, name: str, body: bytes) -> Operation:
    parameters = json.loads(body or b"{}")
    context = {"secretsmanager:versionstage": parameters["VersionStage"]} if "VersionStage" in parameters else {}
    if service == "secretsmanager":
        return Operation(service, name, _secret_arn(parameters, region), parameters, context)
    if (service, name) == ("ssm", "GetParameter"):
        return Operation(service, name, _parameter_arn(parameters.get("Name", ""), region), parameters)
    return Operation(service, name, parameters=parameters)


def _secret_arn(parameters: dict, region: str) -> str:
    """IAM evaluates the whole ARN, however the caller named the secret."""
    from moto.secretsmanager.models import secretsmanager_backends

    given = parameters.get("SecretId", parameters.get("Name", "*"))
    secrets = secretsmanager_backends[ACCOUNT][region].secrets
    if given in secrets:
        return secrets[given].arn
    return given if given.startswith(("arn:", "*")) else f"arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:{given}-??????"


def _parameter_arn(name: str, region: str) -> str:
    # A public parameter belongs to no account.
    owner = "" if name.startswith("/aws/") else ACCOUNT
    return f"arn:aws:ssm:{region}:{owner}:parameter/{name.removeprefix('/')}"


def _query(service: str, parameters: dict) -> Operation:
    name = parameters.get("Action", "")
    return Operation(service, name, "*" if name == "GetCallerIdentity" else None, parameters)


def _rest(service: str, region: str, environ: dict) -> Operation:
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    invoked = re.fullmatch(r"/2015-03-31/functions/([^/]+)/invocations", path)
    if service != "lambda" or method != "POST" or not invoked:
        return Operation(service, f"{method} {path}")
    name = unquote(invoked[1])
    resource = f"arn:aws:lambda:{region}:{ACCOUNT}:function:{name}"
    return Operation(service, "InvokeFunction", resource, {"FunctionName": name})


def _s3(environ: dict) -> Operation:
    bucket, key = _bucket_and_key(environ)
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    method = environ["REQUEST_METHOD"]
    subresource = ",".join(sorted(query.keys() - S3_PARAMETERS))
    name = (S3_OBJECT if key else S3_BUCKET).get((method, subresource)) if bucket else None
    if name is None or "HTTP_X_AMZ_COPY_SOURCE" in environ:
        path = "/BUCKET/KEY" if key else "/BUCKET" if bucket else "/"
        return Operation("s3", f"{method} {path}{'?' if subresource else ''}{subresource}")
    resource = f"arn:aws:s3:::{bucket}" + (f"/{key}" if key else "")
    context = {"s3:prefix": query["prefix"]} if "prefix" in query else {}
    return Operation("s3", name, resource, {"Bucket": bucket, "Key": key}, context)


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
