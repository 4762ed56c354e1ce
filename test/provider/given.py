"""What an account has before this stack is deployed: a hosted zone, and an existing VPC."""

from __future__ import annotations

from additions import ACCOUNT, REGION
from moto.ec2.models import ec2_backends
from moto.route53.models import route53_backends

DOMAIN = "example.com"


def prepare() -> None:
    """Creates it. The VPC is the account's default VPC."""
    route53_backends[ACCOUNT]["aws"].create_hosted_zone(
        DOMAIN, private_zone=False, caller_reference="before", vpcid=None, vpcregion=None, comment=None, delegation_set_id=None
    )


def given() -> dict[str, object]:
    """`{"region", "vpcId", "cidrBlock", "subnets": {ZONE: ID}, "routeTableId", "domain"}`"""
    ec2 = ec2_backends[ACCOUNT][REGION]
    vpc = ec2.get_default_vpc()
    subnets = {subnet.availability_zone: subnet.id for subnet in ec2.describe_subnets(filters={"vpc-id": [vpc.id]})}
    tables = ec2.describe_route_tables(filters={"vpc-id": [vpc.id]})
    return {
        "region": REGION,
        "vpcId": vpc.id,
        "cidrBlock": vpc.cidr_block,
        "subnets": subnets,
        "routeTableId": tables[0].id,
        "domain": DOMAIN,
    }
