import type { Props, ResourceDefinition } from "../framework";
import { arn, currentRegion, ec2Id } from "./account";

const RULE = {
  inputs: [
    ...["securityGroupId", "cidrIpv4", "referencedSecurityGroupId", "ipProtocol", "fromPort", "toPort"],
    "description",
  ],
  replaceOn: ["securityGroupId"],
};

/**
 * Networks are recorded and not emulated: a local instance is on its environment's bridge, which only its host can
 * reach. The properties that replace a resource are those of the real provider.
 */
export const network: Record<string, ResourceDefinition> = {
  "aws:ec2/vpc:Vpc": recorded("vpc", {
    inputs: ["cidrBlock", "enableDnsHostnames", "enableDnsSupport", "instanceTenancy"],
    replaceOn: ["cidrBlock"],
  }),
  "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": recorded("sg", {
    inputs: ["vpcId", "ingress", "egress"],
    replaceOn: ["vpcId"],
  }),
  "aws:ec2/internetGateway:InternetGateway": recorded("igw", { inputs: ["vpcId"] }),
  "aws:ec2/routeTable:RouteTable": recorded("rtb", { inputs: ["vpcId", "routes"], replaceOn: ["vpcId"] }),
  "aws:ec2/route:Route": recorded("r", {
    inputs: ["routeTableId", "destinationCidrBlock", "gatewayId"],
    replaceOn: ["routeTableId", "destinationCidrBlock"],
  }),
  "aws:ec2/routeTableAssociation:RouteTableAssociation": recorded("rtbassoc", {
    inputs: ["subnetId", "routeTableId"],
    replaceOn: ["subnetId"],
  }),
  "aws:ec2/subnet:Subnet": recorded("subnet", {
    inputs: ["vpcId", "cidrBlock", "availabilityZone", "mapPublicIpOnLaunch"],
    replaceOn: ["vpcId", "cidrBlock", "availabilityZone"],
  }),
  "aws:ec2/securityGroup:SecurityGroup": recorded("sg", {
    inputs: ["vpcId", "name", "description"],
    replaceOn: ["vpcId", "name", "description"],
  }),
  "aws:ec2/vpcEndpoint:VpcEndpoint": recorded("vpce", {
    inputs: [
      ...["vpcId", "vpcEndpointType", "serviceName", "subnetIds", "securityGroupIds", "privateDnsEnabled"],
      "routeTableIds",
    ],
    replaceOn: ["vpcId", "vpcEndpointType", "serviceName"],
  }),
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": recorded("sgr", RULE),
  "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": recorded("sgr", RULE),
};

function recorded(prefix: string, fields: { inputs: string[]; replaceOn?: string[] }): ResourceDefinition {
  return {
    inputs: [...fields.inputs, "tags"],
    replaceOn: fields.replaceOn ?? [],
    create: async () => {
      const id = ec2Id(prefix);
      return { id, outputs: { arn: arn("ec2", `${prefix}/${id}`) } };
    },
    update: async (): Promise<Props> => ({}),
  };
}

/** The account's one existing VPC. The zone of each of its subnets is the last character of the subnet's ID. */
const EXISTING_VPC = "vpc-0123456789abcdef0";

/** The invoke `aws.ec2.getSubnet`. */
export async function getSubnet(args: Props): Promise<Props> {
  const zone = String(args.id).at(-1)!;
  return { ...args, vpcId: EXISTING_VPC, availabilityZone: `${currentRegion()}${zone}` };
}

/** The invoke `aws.ec2.getVpc`. */
export async function getVpc(args: Props): Promise<Props> {
  if (args.id !== EXISTING_VPC) {
    throw new Error(`no matching EC2 VPC found: ${String(args.id)}`);
  }
  return { ...args, cidrBlock: "10.7.0.0/16", cidrBlockAssociations: [{ cidrBlock: "10.7.0.0/16" }] };
}

/** The invoke `aws.ec2.getRouteTables`: every subnet uses the VPC's main route table. */
export async function getRouteTables(args: Props): Promise<Props> {
  const filters = (args.filters ?? []) as { name: string }[];
  return {
    ...args,
    id: currentRegion(),
    ids: filters.some(({ name }) => name === "association.main") ? ["rtb-0123456789abcdef0"] : [],
  };
}
