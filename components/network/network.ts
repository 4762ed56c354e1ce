import * as ec2 from "@pulumi/aws/ec2";
import * as vpc from "@pulumi/aws/vpc";
import * as pulumi from "@pulumi/pulumi";
import { stackTags } from "../tags";
import type { ExistingVpc } from "./resolvePlacement";

/** Range of a VPC that the service creates. */
const CIDR_BLOCK = "10.20.0.0/16";

export interface NetworkArgs {
  /** Zones of the subnets, one subnet in each. */
  zones: string[];
  /**
   * IPv4 ranges that can reach port 443 of the instances, for example `["203.0.113.0/24"]`. No other port is open.
   * Empty behind a load balancer, which adds its own rule.
   */
  allowedCidrs: string[];
  /** A VPC and subnets to use instead of new ones. */
  existing?: ExistingVpc;
}

/**
 * A new VPC with a public subnet in each zone, or an existing VPC, and a security group for the instances that allows
 * HTTPS from the allowed ranges and all outbound traffic. There is no SSH: Session Manager needs no open port.
 */
export class Network extends pulumi.ComponentResource {
  readonly vpcId: pulumi.Output<string>;
  /** In the order of the zones. */
  readonly subnetIds: pulumi.Output<string>[];
  /** Security group of the instances. */
  readonly securityGroupId: pulumi.Output<string>;
  readonly #zones: string[];

  constructor(name: string, args: NetworkArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qwen3-embedding-stack:index:Network", name, {}, opts);
    const { vpcId, subnetIds } = args.existing
      ? this.useExisting(args.existing, args.zones)
      : this.createNew(name, args.zones);
    this.#zones = args.zones;
    this.vpcId = vpcId;
    this.subnetIds = subnetIds;
    this.securityGroupId = this.createSecurityGroup(name, vpcId, args.allowedCidrs).id;
    this.registerOutputs({ subnetIds: this.subnetIds, securityGroupId: this.securityGroupId });
  }

  /** Subnets of some of the zones. */
  subnetsIn(zones: string[]): pulumi.Output<string>[] {
    return zones.map((zone) => this.subnetIds[this.#zones.indexOf(zone)]!);
  }

  private useExisting(existing: ExistingVpc, zones: string[]) {
    return {
      vpcId: pulumi.output(existing.vpcId),
      subnetIds: zones.map((zone) => pulumi.output(existing.subnets[zone]!)),
    };
  }

  private createNew(name: string, zones: string[]) {
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
      { cidrBlock: CIDR_BLOCK, enableDnsHostnames: true, tags: stackTags(name) },
      { parent: this },
    );
    // Every VPC has a default security group that allows traffic between its members: this removes its rules.
    new ec2.DefaultSecurityGroup(name, { vpcId: network.id }, { parent: this });
    return network;
  }

  private createRoutes(name: string, network: ec2.Vpc): ec2.RouteTable {
    const gateway = new ec2.InternetGateway(
      name,
      { vpcId: network.id, tags: stackTags(name) },
      { parent: this },
    );
    const table = new ec2.RouteTable(name, { vpcId: network.id, tags: stackTags(name) }, { parent: this });
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
        // By the letter of the zone: another selection of zones never requests a range that is still in use.
        cidrBlock: `10.20.${zone.charCodeAt(zone.length - 1) - "a".charCodeAt(0)}.0/24`,
        tags: stackTags(name, `${name}-${zone}`),
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
      { vpcId, description: "HTTPS to the embedding endpoint", tags: stackTags(name) },
      { parent: this },
    );
    for (const cidr of allowedCidrs) {
      new vpc.SecurityGroupIngressRule(
        `${name}-https-${cidr}`,
        { securityGroupId: group.id, cidrIpv4: cidr, ipProtocol: "tcp", fromPort: 443, toPort: 443 },
        { parent: this },
      );
    }
    // Packages, weights and AWS services.
    new vpc.SecurityGroupEgressRule(
      `${name}-all`,
      { securityGroupId: group.id, cidrIpv4: "0.0.0.0/0", ipProtocol: "-1" },
      { parent: this },
    );
    return group;
  }
}

/** Ranges that contain the addresses of a load balancer, which instances trust to name the client. */
export function networkRanges(existing: ExistingVpc | undefined): string[] {
  return existing?.cidrBlocks ?? [CIDR_BLOCK];
}
