import { EC2, type Filter, type IpPermission, type ResourceType, type Tag } from "@aws-sdk/client-ec2";
import type { Props, ResourceDefinition } from "../framework";
import { lazily } from "./account";
import { resource, tagList } from "./resource";

/**
 * Networks are the emulator's; instances are not in them: a local instance is on its environment's bridge, which only
 * its host can reach. The properties that replace a resource are those of the real provider.
 */
const ec2 = lazily(EC2);

type Tags = Record<string, string> | undefined;

/** The tags of a new resource. */
const tagged = (ResourceType: ResourceType, tags: Tags): { TagSpecifications?: [Tagged] } =>
  tags ? { TagSpecifications: [{ ResourceType, Tags: tagList(tags) }] } : {};

interface Tagged {
  ResourceType: ResourceType;
  Tags: Tag[];
}

/** Changes tags, which are all that this stack changes in place of most resources. */
async function retag(news: { id: string; tags: Tags }, olds: { tags: Tags }): Promise<void> {
  await ec2().deleteTags({ Resources: [news.id], Tags: tagList(olds.tags) });
  await ec2().createTags({ Resources: [news.id], Tags: tagList(news.tags) });
}

const vpc = resource({
  inputs: ["cidrBlock", "enableDnsHostnames", "tags"],
  replaceOn: ["cidrBlock"],
  create: async ({ cidrBlock, enableDnsHostnames, tags }) => {
    const { Vpc } = await ec2().createVpc({ CidrBlock: cidrBlock, ...tagged("vpc", tags) });
    await setHostnames(Vpc?.VpcId, enableDnsHostnames);
    return { id: Vpc?.VpcId };
  },
  update: async (news, olds) => {
    await setHostnames(news.id, news.enableDnsHostnames);
    await retag(news, olds);
  },
  delete: ({ id }) => ec2().deleteVpc({ VpcId: id }),
});

const setHostnames = (VpcId: string | undefined, value: boolean | undefined) =>
  ec2().modifyVpcAttribute({ VpcId, EnableDnsHostnames: { Value: value === true } });

/** The VPC's own, which AWS's provider adopts and empties. */
const defaultSecurityGroup = resource({
  inputs: ["vpcId"],
  replaceOn: ["vpcId"],
  create: async ({ vpcId }) => {
    const { SecurityGroups: [group] = [] } = await ec2().describeSecurityGroups({
      Filters: [filter("vpc-id", vpcId), filter("group-name", "default")],
    });
    const { GroupId, IpPermissions, IpPermissionsEgress } = group!;
    if (IpPermissions?.length) {
      await ec2().revokeSecurityGroupIngress({ GroupId, IpPermissions });
    }
    if (IpPermissionsEgress?.length) {
      await ec2().revokeSecurityGroupEgress({ GroupId, IpPermissions: IpPermissionsEgress });
    }
    return { id: GroupId };
  },
});

const internetGateway = resource({
  inputs: ["vpcId", "tags"],
  replaceOn: ["vpcId"],
  create: async ({ vpcId, tags }) => {
    const { InternetGateway } = await ec2().createInternetGateway(tagged("internet-gateway", tags));
    const { InternetGatewayId } = InternetGateway!;
    await ec2().attachInternetGateway({ InternetGatewayId, VpcId: vpcId });
    return { id: InternetGatewayId };
  },
  update: retag,
  delete: async ({ id, vpcId }) => {
    await ec2().detachInternetGateway({ InternetGatewayId: id, VpcId: vpcId });
    await ec2().deleteInternetGateway({ InternetGatewayId: id });
  },
});

const routeTable = resource({
  inputs: ["vpcId", "tags"],
  replaceOn: ["vpcId"],
  create: async ({ vpcId, tags }) => {
    const { RouteTable } = await ec2().createRouteTable({ VpcId: vpcId, ...tagged("route-table", tags) });
    return { id: RouteTable?.RouteTableId };
  },
  update: retag,
  delete: ({ id }) => ec2().deleteRouteTable({ RouteTableId: id }),
});

const route = resource({
  inputs: ["routeTableId", "destinationCidrBlock", "gatewayId"],
  replaceOn: ["routeTableId", "destinationCidrBlock"],
  create: async ({ routeTableId: RouteTableId, destinationCidrBlock: DestinationCidrBlock, gatewayId }) => {
    await ec2().createRoute({ RouteTableId, DestinationCidrBlock, GatewayId: gatewayId });
    return { id: `r-${RouteTableId}-${DestinationCidrBlock}` };
  },
  delete: ({ routeTableId, destinationCidrBlock }) =>
    ec2().deleteRoute({ RouteTableId: routeTableId, DestinationCidrBlock: destinationCidrBlock }),
});

const routeTableAssociation = resource({
  inputs: ["subnetId", "routeTableId"],
  replaceOn: ["subnetId"],
  create: async ({ subnetId, routeTableId }) => ({
    id: (await ec2().associateRouteTable({ SubnetId: subnetId, RouteTableId: routeTableId })).AssociationId,
  }),
  delete: ({ id }) => ec2().disassociateRouteTable({ AssociationId: id }),
});

const subnet = resource({
  inputs: ["vpcId", "cidrBlock", "availabilityZone", "tags"],
  replaceOn: ["vpcId", "cidrBlock", "availabilityZone"],
  create: async ({ vpcId, cidrBlock, availabilityZone, tags }) => {
    const { Subnet } = await ec2().createSubnet({
      VpcId: vpcId,
      CidrBlock: cidrBlock,
      AvailabilityZone: availabilityZone,
      ...tagged("subnet", tags),
    });
    return { id: Subnet?.SubnetId };
  },
  update: retag,
  delete: ({ id }) => ec2().deleteSubnet({ SubnetId: id }),
});

const securityGroup = resource({
  inputs: ["vpcId", "name", "description", "tags"],
  replaceOn: ["vpcId", "name", "description"],
  autonamed: true,
  create: async ({ vpcId, name, description, tags }) => {
    const { GroupId } = await ec2().createSecurityGroup({
      VpcId: vpcId,
      GroupName: name,
      Description: description,
      ...tagged("security-group", tags),
    });
    // As AWS's provider does: a new group allows all outbound traffic.
    await ec2().revokeSecurityGroupEgress({
      GroupId,
      IpPermissions: [{ IpProtocol: "-1", IpRanges: [{ CidrIp: "0.0.0.0/0" }] }],
    });
    return { id: GroupId };
  },
  update: retag,
  delete: ({ id }) => ec2().deleteSecurityGroup({ GroupId: id }),
});

/** A rule of a security group. The stack creates and deletes rules, and changes none in place. */
function rule(direction: "Ingress" | "Egress"): ResourceDefinition {
  return resource({
    inputs: [
      ...(["securityGroupId", "cidrIpv4", "referencedSecurityGroupId"] as const),
      ...(["ipProtocol", "fromPort", "toPort"] as const),
    ],
    replaceOn: ["securityGroupId"],
    create: async ({
      securityGroupId: GroupId,
      cidrIpv4: CidrIp,
      referencedSecurityGroupId: source,
      ...rest
    }) => {
      const permission: IpPermission = {
        IpProtocol: rest.ipProtocol,
        FromPort: rest.fromPort,
        ToPort: rest.toPort,
        ...(source ? { UserIdGroupPairs: [{ GroupId: source }] } : { IpRanges: [{ CidrIp }] }),
      };
      const { SecurityGroupRules: [made] = [] } = await ec2()[`authorizeSecurityGroup${direction}`]({
        GroupId,
        IpPermissions: [permission],
      });
      return { id: made?.SecurityGroupRuleId };
    },
    delete: ({ id, securityGroupId: GroupId }) =>
      ec2()[`revokeSecurityGroup${direction}`]({ GroupId, SecurityGroupRuleIds: [id] }),
  });
}

const vpcEndpoint = resource({
  inputs: [
    ...(["vpcId", "vpcEndpointType", "serviceName", "subnetIds", "securityGroupIds"] as const),
    ...(["privateDnsEnabled", "routeTableIds", "tags"] as const),
  ],
  replaceOn: ["vpcId", "vpcEndpointType", "serviceName"],
  create: async ({ vpcId, vpcEndpointType, serviceName, privateDnsEnabled, tags, ...where }) => {
    const { VpcEndpoint } = await ec2().createVpcEndpoint({
      VpcId: vpcId,
      VpcEndpointType: vpcEndpointType,
      ServiceName: serviceName,
      PrivateDnsEnabled: privateDnsEnabled,
      SubnetIds: where.subnetIds,
      SecurityGroupIds: where.securityGroupIds,
      RouteTableIds: where.routeTableIds,
      ...tagged("vpc-endpoint", tags),
    });
    return { id: VpcEndpoint?.VpcEndpointId };
  },
  delete: ({ id }) => ec2().deleteVpcEndpoints({ VpcEndpointIds: [id] }),
});

export const networkResources: Record<string, ResourceDefinition> = {
  "aws:ec2/vpc:Vpc": vpc,
  "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": defaultSecurityGroup,
  "aws:ec2/internetGateway:InternetGateway": internetGateway,
  "aws:ec2/routeTable:RouteTable": routeTable,
  "aws:ec2/route:Route": route,
  "aws:ec2/routeTableAssociation:RouteTableAssociation": routeTableAssociation,
  "aws:ec2/subnet:Subnet": subnet,
  "aws:ec2/securityGroup:SecurityGroup": securityGroup,
  "aws:ec2/vpcEndpoint:VpcEndpoint": vpcEndpoint,
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": rule("Ingress"),
  "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": rule("Egress"),
};

const filter = (Name: string, ...Values: string[]): Filter => ({ Name, Values });

/** The invoke `aws.ec2.getSubnet`. */
export async function getSubnet(args: Props): Promise<Props> {
  const { Subnets: [found] = [] } = await ec2().describeSubnets({ SubnetIds: [String(args.id)] });
  return { ...args, vpcId: found?.VpcId, availabilityZone: found?.AvailabilityZone };
}

/** The invoke `aws.ec2.getVpc`. */
export async function getVpc(args: Props): Promise<Props> {
  const { Vpcs: [found] = [] } = await ec2().describeVpcs({ VpcIds: [String(args.id)] });
  const ranges = found?.CidrBlockAssociationSet?.map(({ CidrBlock }) => ({ cidrBlock: CidrBlock }));
  return { ...args, cidrBlock: found?.CidrBlock, cidrBlockAssociations: ranges };
}

/** The invoke `aws.ec2.getRouteTables`. */
export async function getRouteTables(args: Props): Promise<Props> {
  const filters = (args.filters ?? []) as { name: string; values: string[] }[];
  const { RouteTables = [] } = await ec2().describeRouteTables({
    Filters: [
      filter("vpc-id", String(args.vpcId)),
      ...filters.map((each) => filter(each.name, ...each.values)),
    ],
  });
  return { ...args, ids: RouteTables.map(({ RouteTableId }) => RouteTableId) };
}
