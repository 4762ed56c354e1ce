import * as ec2 from "@pulumi/aws/ec2";
import * as vpc from "@pulumi/aws/vpc";
import * as pulumi from "@pulumi/pulumi";
import type { ExistingVpc } from "./placement";

/** The range of the stack's own VPC. */
const CIDR_BLOCK = "10.20.0.0/16";

export interface NetworkArgs {
  /** Zones for the subnets, the first one being where a single machine runs. One subnet each. */
  zones: string[];
  /**
   * IPv4 ranges that may reach port 443 of the machines, for instance `["203.0.113.0/24"]`. Nothing else is open.
   * Empty where a load balancer stands before them, which opens the port for itself.
   */
  allowedCidrs: string[];
  /** Use this VPC and its subnets instead of making one. */
  existing?: ExistingVpc;
}

/**
 * A VPC of its own with one public subnet a zone, or an existing one, and a security group that lets HTTPS in from
 * the allowed ranges and everything out. There is no SSH: Session Manager needs no open port.
 */
export class Network extends pulumi.ComponentResource {
  readonly vpcId: pulumi.Output<string>;
  /** In the order of the zones. */
  readonly subnetIds: pulumi.Output<string>[];
  /** The machines' security group. */
  readonly securityGroupId: pulumi.Output<string>;

  constructor(name: string, args: NetworkArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qwen3-embedding-stack:index:Network", name, {}, opts);
    const { vpcId, subnetIds } = args.existing
      ? this.useExisting(args.existing, args.zones)
      : this.createOwn(name, args.zones);
    this.vpcId = vpcId;
    this.subnetIds = subnetIds;
    this.securityGroupId = this.createSecurityGroup(name, vpcId, args.allowedCidrs).id;
    this.registerOutputs({ subnetIds: this.subnetIds, securityGroupId: this.securityGroupId });
  }

  private useExisting(existing: ExistingVpc, zones: string[]) {
    return {
      vpcId: pulumi.output(existing.vpcId),
      subnetIds: zones.map((zone) => pulumi.output(existing.subnets[zone]!)),
    };
  }

  private createOwn(name: string, zones: string[]) {
    const network = this.createVpc(name);
    const routes = this.createRoutes(name, network);
    return {
      vpcId: network.id,
      subnetIds: zones.map((zone) => this.createSubnet(name, network, routes, zone).id),
    };
  }

  private createVpc(name: string): ec2.Vpc {
    const network = new ec2.Vpc(
      name,
      { cidrBlock: CIDR_BLOCK, enableDnsHostnames: true, tags: { Name: name } },
      { parent: this },
    );
    // The VPC comes with a security group that lets its members talk: emptied, so that nobody leans on it.
    new ec2.DefaultSecurityGroup(name, { vpcId: network.id }, { parent: this });
    return network;
  }

  private createRoutes(name: string, network: ec2.Vpc): ec2.RouteTable {
    const gateway = new ec2.InternetGateway(
      name,
      { vpcId: network.id, tags: { Name: name } },
      { parent: this },
    );
    const table = new ec2.RouteTable(name, { vpcId: network.id, tags: { Name: name } }, { parent: this });
    new ec2.Route(
      name,
      { routeTableId: table.id, destinationCidrBlock: "0.0.0.0/0", gatewayId: gateway.id },
      { parent: this },
    );
    return table;
  }

  private createSubnet(name: string, network: ec2.Vpc, routes: ec2.RouteTable, zone: string): ec2.Subnet {
    const subnet = new ec2.Subnet(
      `${name}-${zone}`,
      {
        vpcId: network.id,
        availabilityZone: zone,
        // By the zone's letter: another choice of zones never asks for a range that is still taken.
        cidrBlock: `10.20.${zone.charCodeAt(zone.length - 1) - "a".charCodeAt(0)}.0/24`,
        tags: { Name: `${name}-${zone}` },
      },
      { parent: this },
    );
    new ec2.RouteTableAssociation(
      `${name}-${zone}`,
      { subnetId: subnet.id, routeTableId: routes.id },
      { parent: this },
    );
    return subnet;
  }

  private createSecurityGroup(
    name: string,
    vpcId: pulumi.Output<string>,
    allowedCidrs: string[],
  ): ec2.SecurityGroup {
    const group = new ec2.SecurityGroup(
      name,
      { vpcId, description: "HTTPS to the embedding endpoint", tags: { Name: name } },
      { parent: this },
    );
    for (const cidr of allowedCidrs) {
      new vpc.SecurityGroupIngressRule(
        `${name}-https-${cidr}`,
        { securityGroupId: group.id, cidrIpv4: cidr, ipProtocol: "tcp", fromPort: 443, toPort: 443 },
        { parent: this },
      );
    }
    // Packages, weights and AWS's own services.
    new vpc.SecurityGroupEgressRule(
      `${name}-all`,
      { securityGroupId: group.id, cidrIpv4: "0.0.0.0/0", ipProtocol: "-1" },
      { parent: this },
    );
    return group;
  }
}

/** The ranges that a load balancer's own addresses come from, for machines to tell it from others. */
export function networkRanges(existing: ExistingVpc | undefined): string[] {
  return existing?.cidrBlocks ?? [CIDR_BLOCK];
}
