"""The permissions that a request needs: action, resource and condition keys.

What an operation needs, its resource types and its condition keys are those of AWS's service authorization reference.
moto knows the tags, roles and templates that the resources have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlparse

import operations
from additions import ACCOUNT
from moto.ec2.models import ec2_backends
from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.secretsmanager.models import secretsmanager_backends

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
# Budgets' actions have other names than its operations.
BUDGETS = {"ListTagsForResource": "ListTagsForResource", "Describe": "ViewBudget", "": "ModifyBudget"}

# By the prefix of IDs: EC2's name of the resource type in ARNs.
EC2_TYPES = {
    "ami": "image",
    "cr": "capacity-reservation",
    "eipalloc": "elastic-ip",
    "eni": "network-interface",
    "i": "instance",
    "igw": "internet-gateway",
    "lt": "launch-template",
    "rtb": "route-table",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "subnet": "subnet",
    "vol": "volume",
    "vpc": "vpc",
    "vpce": "vpc-endpoint",
}
EC2_ID = re.compile(rf"({'|'.join(EC2_TYPES)})-[0-9a-f]{{8,17}}")

# By operation: what it creates.
EC2_CREATED = {
    "AllocateAddress": ["elastic-ip"],
    "CreateInternetGateway": ["internet-gateway"],
    "CreateLaunchTemplate": ["launch-template"],
    "CreateRouteTable": ["route-table"],
    "CreateSecurityGroup": ["security-group"],
    "CreateSubnet": ["subnet"],
    "CreateVpc": ["vpc"],
    "CreateVpcEndpoint": ["vpc-endpoint"],
    "RunInstances": ["instance", "network-interface", "volume"],
}
# By operation: resources that EC2 may also check, although the request does not name them.
EC2_ALSO = {"AssociateAddress": ["network-interface"], "DisassociateAddress": ["network-interface"]}
# By operation: resources that a request names and that EC2 does not check.
EC2_UNCHECKED = {
    "CreateLaunchTemplateVersion": ["capacity-reservation", "image", "security-group"],
    "RevokeSecurityGroupEgress": ["security-group-rule"],
    "RevokeSecurityGroupIngress": ["security-group-rule"],
}

Context = Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True)
class Need:
    """A permission that a request needs."""

    action: str
    resource: str = "*"
    # Condition keys in lower case.
    context: Context = field(default_factory=dict)


def needs(response: Any) -> list[Need]:
    """What a request to a service other than S3 needs."""
    service = response.headers["Authorization"].split("Credential=")[1].split("/")[3]
    parameters = parameters_of(response)
    operation = response._get_action()
    readers = {
        "autoscaling": autoscaling,
        "budgets": budgets,
        # The name that requests are signed for.
        "monitoring": cloudwatch,
        "ec2": ec2,
        "elasticloadbalancing": elastic_load_balancing,
        "iam": iam,
        "route53": route53,
        "scheduler": scheduler,
        "secretsmanager": secrets_manager,
        "ssm": systems_manager,
    }
    if service in readers:
        return readers[service](operation, parameters, response)
    found = [Need(f"{service}:{operation}")]
    if operation == "RequestCertificate" and parameters.get("Tags"):
        found.append(Need("acm:AddTagsToCertificate"))
    return found


def parameters_of(response: Any) -> dict[str, Any]:
    """The JSON of the body, or the first value of each field of a form."""
    body = response.body if isinstance(response.body, str) else (response.body or b"").decode(errors="replace")
    if body.startswith("{"):
        return json.loads(body)
    return {name: values[0] for name, values in response.querystring.items() if values}


def path_of(response: Any) -> str:
    return unquote(urlparse(response.uri).path)


# EC2 and Auto Scaling


def ec2(operation: str, parameters: Mapping[str, Any], response: Any) -> list[Need]:
    action = f"ec2:{operation}"
    if operation.startswith("Describe"):
        return [Need(action)]
    region = response.region
    requested = requested_tags(parameters)
    launch = template_context(parameters, region) if operation == "RunInstances" else {}
    unchecked = EC2_UNCHECKED.get(operation, [])
    named = [each for each in ec2_ids(parameters, region) if ec2_type(each) not in unchecked]
    found = [
        *(Need(action, ec2_arn(region, each), tags_of(region, each) | launch) for each in named),
        *(
            Need(action, f"arn:aws:ec2:{region}:{ACCOUNT}:{kind}/*", request_context(requested.get(kind, {})) | launch)
            for kind in [*EC2_CREATED.get(operation, []), *EC2_ALSO.get(operation, [])]
        ),
    ]
    if "KeyName" in parameters:
        found.append(Need(action, f"arn:aws:ec2:{region}:{ACCOUNT}:key-pair/{parameters['KeyName']}", launch))
    if operation in ("CreateTags", "DeleteTags"):
        tags = {tag["Key"]: tag.get("Value", "") for tag in listed(parameters, "Tag")}
        found = [Need(each.action, each.resource, {**each.context, **request_context(tags)}) for each in found]
    found.extend(create_tags(region, operation, requested))
    if operation == "RunInstances":
        profile = parameters.get("IamInstanceProfile.Name") or last_part(parameters.get("IamInstanceProfile.Arn"))
        found.extend(pass_profile(profile))
    if operation == "CreateVpcEndpoint" and parameters.get("PrivateDnsEnabled") == "true":
        found.append(Need("route53:AssociateVPCWithHostedZone", "arn:aws:route53:::hostedzone/*"))
    return found or [Need(action)]


def ec2_ids(parameters: Mapping[str, Any], region: str) -> list[str]:
    """The IDs of the existing resources that a request names, directly or by an association."""
    backend = ec2_backends[ACCOUNT][region]
    found: dict[str, None] = {}
    for value in map(str, parameters.values()):
        if EC2_ID.fullmatch(value):
            found[value] = None
        elif value.startswith("eipassoc-"):
            addresses = [each for each in backend.addresses if each.association_id == value]
            found.update({each.allocation_id: None for each in addresses if each.allocation_id})
        elif value.startswith("rtbassoc-"):
            for table in backend.route_tables.values():
                if value in table._associations:
                    found.update({table.id: None, str(table._associations[value]): None})
    return list(found)


def ec2_type(identifier: str) -> str:
    return EC2_TYPES[identifier.rsplit("-", 1)[0]]


def ec2_arn(region: str, identifier: str) -> str:
    kind = ec2_type(identifier)
    # An image has no account in its ARN.
    return f"arn:aws:ec2:{region}:{'' if kind == 'image' else ACCOUNT}:{kind}/{identifier}"


def tags_of(region: str, identifier: str) -> dict[str, str]:
    """The condition keys for the tags of an existing resource."""
    tags = ec2_backends[ACCOUNT][region].tags.get(identifier, {})
    return {f"aws:resourcetag/{name.lower()}": str(value) for name, value in tags.items()}


def requested_tags(parameters: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """By resource type: the tags with which a request creates resources."""
    found: dict[str, dict[str, str]] = {}
    for name, value in parameters.items():
        match = re.fullmatch(r"(TagSpecifications?\.(?:\d+))\.ResourceType", name)
        if match:
            tags = listed(parameters, f"{match[1]}.Tag") or listed(parameters, f"{match[1]}.Tags")
            found[str(value)] = {tag["Key"]: tag.get("Value", "") for tag in tags}
    return found


def listed(parameters: Mapping[str, Any], name: str) -> list[dict[str, str]]:
    """`NAME.1.Key`, `NAME.1.Value`, `NAME.2.Key`, … as a list, also with `member` before the number."""
    found: dict[str, dict[str, str]] = {}
    for field_name, value in parameters.items():
        match = re.fullmatch(rf"{re.escape(name)}\.(?:member\.)?(\d+)\.(\w+)", field_name)
        if match:
            found.setdefault(match[1], {})[match[2]] = str(value)
    return list(found.values())


def request_context(tags: Mapping[str, str]) -> dict[str, str]:
    return {f"aws:requesttag/{name.lower()}": value for name, value in tags.items()}


def create_tags(region: str, operation: str, requested: Mapping[str, Mapping[str, str]]) -> Iterable[Need]:
    """EC2 checks ec2:CreateTags when a request creates resources with tags."""
    for kind, tags in requested.items():
        context = {"ec2:createaction": operation, **request_context(tags)}
        yield Need("ec2:CreateTags", f"arn:aws:ec2:{region}:{ACCOUNT}:{kind}/*", context)


def template_context(parameters: Mapping[str, Any], region: str) -> dict[str, str]:
    template = find_template(parameters, "", region)
    return {"ec2:launchtemplate": ec2_arn(region, template.id)} if template else {}


def find_template(parameters: Mapping[str, Any], prefix: str, region: str) -> Any | None:
    backend = ec2_backends[ACCOUNT][region]
    identifier = parameters.get(f"{prefix}LaunchTemplate.LaunchTemplateId")
    name = parameters.get(f"{prefix}LaunchTemplate.LaunchTemplateName")
    if identifier:
        return backend.get_launch_template(identifier)
    return backend.get_launch_template_by_name(name) if name else None


def autoscaling(operation: str, parameters: Mapping[str, Any], response: Any) -> list[Need]:
    action = f"autoscaling:{operation}"
    if operation.startswith("Describe"):
        return [Need(action)]
    region = response.region
    name = parameters.get("AutoScalingGroupName") or parameters.get("Tags.member.1.ResourceId", "*")
    group = f"arn:aws:autoscaling:{region}:{ACCOUNT}:autoScalingGroup:*:autoScalingGroupName/{name}"
    prefix = "DesiredConfiguration." if operation == "StartInstanceRefresh" else ""
    template = find_template(parameters, prefix, region)
    version = str(parameters.get(f"{prefix}LaunchTemplate.Version", "$Default"))
    context: dict[str, str | tuple[str, ...]] = {}
    for key, field_name in AUTOSCALING_LISTS.items():
        values = tuple(str(value) for each, value in parameters.items() if re.fullmatch(field_name, each))
        if values:
            context[key] = values
    if template and not prefix:
        context["autoscaling:launchtemplateversionspecified"] = "false" if version.startswith("$") else "true"
    if parameters.get("LaunchConfigurationName"):
        context["autoscaling:launchconfigurationname"] = str(parameters["LaunchConfigurationName"])
    found = [Need(action, group, context)]
    if operation == "CreateAutoScalingGroup" and listed(parameters, "Tags"):
        found.append(Need("autoscaling:CreateOrUpdateTags", group))
    if template:
        found.extend(launch_from_template(template, version, region))
    return found


# By condition key: the parameters with its values.
AUTOSCALING_LISTS = {
    "autoscaling:loadbalancernames": r"LoadBalancerNames\.member\.\d+",
    "autoscaling:targetgrouparns": r"TargetGroupARNs\.member\.\d+",
    "autoscaling:trafficsourceidentifiers": r"TrafficSources\.member\.\d+\.Identifier",
}


def launch_from_template(template: Any, version: str, region: str) -> Iterable[Need]:
    """Auto Scaling checks whether the caller could launch an instance from the template."""
    data = template.get_version(version).data
    context = {"ec2:launchtemplate": ec2_arn(region, template.id)}
    tags = {
        each["ResourceType"]: {tag["Key"]: tag["Value"] for tag in each.get("Tags", each.get("Tag", []))}
        for each in data.get("TagSpecifications", [])
    }
    existing = {template.id, *EC2_ID_ANYWHERE.findall(json.dumps({**data, "UserData": ""}, default=str))}
    for each in sorted(existing):
        yield Need("ec2:RunInstances", ec2_arn(region, each), tags_of(region, each) | context)
    for kind in EC2_CREATED["RunInstances"]:
        # Whether the tags of a template are also in the request's context is not documented.
        yield Need("ec2:RunInstances", f"arn:aws:ec2:{region}:{ACCOUNT}:{kind}/*", context)
    yield from create_tags(region, "RunInstances", tags)
    profile = data.get("IamInstanceProfile", {})
    yield from pass_profile(profile.get("Name") or last_part(profile.get("Arn")))


EC2_ID_ANYWHERE = re.compile(rf"\b(?:{'|'.join(EC2_TYPES)})-[0-9a-f]{{8,17}}\b")


# IAM


def iam(operation: str, parameters: Mapping[str, Any], response: Any) -> list[Need]:
    profile, role, policy = (parameters.get(name) for name in ("InstanceProfileName", "RoleName", "PolicyArn"))
    entity = f"instance-profile/{profile}" if profile else f"role/{role}"
    arn = policy if policy and not role else f"arn:aws:iam::{ACCOUNT}:{entity}"
    boundary = parameters.get("PermissionsBoundary") or boundary_of(role)
    found = [Need(f"iam:{operation}", arn, {"iam:permissionsboundary": boundary} if boundary else {})]
    if operation == "AddRoleToInstanceProfile":
        found.append(pass_role(f"arn:aws:iam::{ACCOUNT}:role/{role}", "ec2.amazonaws.com"))
    return found


def boundary_of(role: str | None) -> str | None:
    try:
        return iam_backends[ACCOUNT]["aws"].get_role(role).permissions_boundary_arn if role else None
    except NotFoundException:
        return None


def pass_role(arn: str, to: str) -> Need:
    return Need("iam:PassRole", arn, {"iam:passedtoservice": to})


def pass_profile(name: str | None) -> Iterable[Need]:
    """EC2 checks iam:PassRole for the role of an instance profile."""
    if name:
        for role in iam_backends[ACCOUNT]["aws"].get_instance_profile(name).roles:
            yield pass_role(role.arn, "ec2.amazonaws.com")


def last_part(arn: Any) -> str | None:
    return str(arn).split("/")[-1] if arn else None


# Other services


def elastic_load_balancing(operation: str, parameters: Mapping[str, Any], response: Any) -> list[Need]:
    action = f"elasticloadbalancing:{operation}"
    if operation.startswith("Describe"):
        return [Need(action)]
    prefix = f"arn:aws:elasticloadbalancing:{response.region}:{ACCOUNT}"
    name = parameters.get("Name", "*")
    kind = parameters.get("Type", "application").replace("application", "app").replace("network", "net")
    created = {
        "CreateLoadBalancer": f"{prefix}:loadbalancer/{kind}/{name}/*",
        "CreateTargetGroup": f"{prefix}:targetgroup/{name}/*",
    }
    named = [str(parameters[key]) for key in ("LoadBalancerArn", "TargetGroupArn", "ListenerArn") if key in parameters]
    named += [str(value) for key, value in parameters.items() if re.fullmatch(r"ResourceArns\.member\.\d+", key)]
    resources = [created[operation]] if operation in created else named or ["*"]
    found = [Need(action, resource) for resource in resources]
    if operation in created and listed(parameters, "Tags"):
        found.append(Need("elasticloadbalancing:AddTags", created[operation]))
    return found


def cloudwatch(operation: str, parameters: Mapping[str, Any], response: Any) -> list[Need]:
    action = f"cloudwatch:{operation}"
    if operation.startswith("Describe"):
        return [Need(action)]
    named = [value for key, value in parameters.items() if re.fullmatch(r"AlarmNames?(\.member\.\d+)?", key)]
    names = [each for value in named for each in (value if isinstance(value, list) else [value])]
    arn = parameters.get("ResourceARN") or f"arn:aws:cloudwatch:{response.region}:{ACCOUNT}:alarm:{(names or ['*'])[0]}"
    found = [Need(action, arn)]
    if operation == "PutMetricAlarm" and any(key.startswith("Tags") for key in parameters):
        found.append(Need("cloudwatch:TagResource", arn))
    return found


def secrets_manager(operation: str, parameters: Mapping[str, Any], response: Any) -> list[Need]:
    given = parameters.get("SecretId", parameters.get("Name", "*"))
    secrets = secretsmanager_backends[ACCOUNT][response.region].secrets
    known = next((secret.arn for name, secret in secrets.items() if given in (name, secret.arn)), None)
    arn = known or f"arn:aws:secretsmanager:{response.region}:{ACCOUNT}:secret:{given}-AbCdEf"
    found = [Need(f"secretsmanager:{operation}", arn)]
    if operation == "CreateSecret" and parameters.get("Tags"):
        found.append(Need("secretsmanager:TagResource", arn))
    return found


def systems_manager(operation: str, parameters: Mapping[str, Any], response: Any) -> list[Need]:
    action = f"ssm:{operation}"
    region = response.region
    if operation == "SendCommand":
        document = parameters["DocumentName"]
        # AWS's own documents have no account in their ARN.
        owner = "" if document.startswith("AWS-") else ACCOUNT
        instances = parameters.get("InstanceIds") or ["*"]
        return [
            Need(action, f"arn:aws:ssm:{region}:{owner}:document/{document}"),
            *(
                Need(action, f"arn:aws:ec2:{region}:{ACCOUNT}:instance/{each}", systems_manager_tags(region, each))
                for each in instances
            ),
        ]
    if operation == "GetCommandInvocation":
        return [Need(action)]
    return [Need(action, f"arn:aws:ssm:{region}::parameter/{parameters.get('Name', '*').removeprefix('/')}")]


def systems_manager_tags(region: str, instance: str) -> dict[str, str]:
    tags = tags_of(region, instance)
    return tags | {key.replace("aws:", "ssm:", 1): value for key, value in tags.items()}


def route53(operation: str, parameters: Mapping[str, Any], response: Any) -> list[Need]:
    found = re.search(r"/(hostedzone|change)/([^/?]+)", path_of(response))
    context: dict[str, tuple[str, ...]] = {}
    if operation == "ChangeResourceRecordSets":
        body = response.body if isinstance(response.body, str) else response.body.decode()
        types = re.findall(r"<ResourceRecordSet>.*?<Type>(\w+)</Type>", body, re.DOTALL)
        context["route53:changeresourcerecordsetsrecordtypes"] = tuple(types)
    return [Need(f"route53:{operation}", f"arn:aws:route53:::{found[1]}/{found[2]}" if found else "*", context)]


def scheduler(operation: str, parameters: Mapping[str, Any], response: Any) -> list[Need]:
    name = re.search(r"/schedules/([^/?]+)", path_of(response))
    arn = f"arn:aws:scheduler:{response.region}:{ACCOUNT}:schedule/default/{name[1] if name else '*'}"
    found = [Need(f"scheduler:{operation}", arn)]
    if operation in ("CreateSchedule", "UpdateSchedule"):
        found.append(pass_role(parameters["Target"]["RoleArn"], "scheduler.amazonaws.com"))
    return found


def budgets(operation: str, parameters: Mapping[str, Any], response: Any) -> list[Need]:
    action = next(action for prefix, action in BUDGETS.items() if operation.startswith(prefix))
    name = parameters.get("BudgetName", parameters.get("Budget", {}).get("BudgetName", ""))
    return [Need(f"budgets:{action}", parameters.get("ResourceARN") or f"arn:aws:budgets::{ACCOUNT}:budget/{name}")]


def s3_need(response: Any) -> Need:
    """IAM's action for an operation of S3, with the bucket in the path."""
    url = urlparse(response.uri)
    bucket, _, key = unquote(url.path).lstrip("/").partition("/")
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    subresource = ",".join(sorted(query.keys() - operations.S3_PARAMETERS))
    table = S3_OBJECT if key else S3_BUCKET
    name = table.get((response.method, subresource))
    if not bucket:
        return Need("s3:ListAllMyBuckets")
    if name is None:
        return Need(f"s3:{response.method} ?{subresource}")
    resource = f"arn:aws:s3:::{bucket}" + (f"/{key}" if key else "/*" if name == "DeleteObject" else "")
    return Need(f"s3:{name}", resource)
