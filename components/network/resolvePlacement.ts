import * as ec2 from "@pulumi/aws/ec2";
// Not the package itself: its types alone take the compiler seconds.
import { getAvailabilityZones } from "@pulumi/aws/getAvailabilityZones";
import * as pulumi from "@pulumi/pulumi";
import { lookUp } from "../lookUp";
import { ZONE } from "../settings/formats";
import type { Settings } from "../settings/table";

/** Where the instances and the network are placed. */
export interface Placement {
  /** Zones of the network, one subnet each; a single instance is in the first one. */
  zones: string[];
  /** Zones in which instances can run. */
  instanceZones: string[];
  /** All zones of the region that offer the instance type. */
  offered: string[];
  /** The existing VPC, if one is used. */
  existing?: ExistingVpc;
}

export interface ExistingVpc {
  vpcId: string;
  /** The VPC's IPv4 ranges. */
  cidrBlocks: string[];
  /** Subnet IDs by zone. */
  subnets: Record<string, string>;
  /** Route tables of these subnets. */
  routeTableIds: string[];
}

interface PlacementArgs
  extends Pick<
    Settings,
    "instanceType" | "availabilityZone" | "domain" | "vpcId" | "subnetIds" | "createVpcEndpoints"
  > {
  region: string;
}

/**
 * Finds the zones for instances and network among those where AWS offers the instance type. A single instance uses the
 * zone of the settings, or else the first one by name, in a network that has one zone more; a fleet uses all of them.
 *
 * @throws pulumi.RunError when region, zone or subnets do not offer what is required.
 */
export async function resolvePlacement(args: PlacementArgs, opts: pulumi.InvokeOptions): Promise<Placement> {
  const offered = await zonesOffering(args, opts);
  return args.vpcId === undefined
    ? placeInNewVpc(args, offered, opts)
    : placeInExistingVpc(args, args.vpcId, offered, opts);
}

async function zonesOffering(
  { instanceType, region, availabilityZone }: PlacementArgs,
  opts: pulumi.InvokeOptions,
): Promise<string[]> {
  const { locations } = await lookUp(
    `the zones that offer ${instanceType}`,
    ec2.getInstanceTypeOfferings(
      {
        locationType: "availability-zone",
        filters: [{ name: "instance-type", values: [instanceType] }],
      },
      opts,
    ),
  );
  const zones = locations.filter((zone) => ZONE.test(zone)).sort();
  if (zones.length === 0) {
    throw new pulumi.RunError(
      `instanceType is "${instanceType}", which AWS does not offer in aws:region "${region}"; allowed: a region that ` +
        "offers it (`aws ec2 describe-instance-type-offerings --region REGION`). Nothing was changed.",
    );
  }
  if (availabilityZone !== undefined && !zones.includes(availabilityZone)) {
    throw new pulumi.RunError(
      `availabilityZone is "${availabilityZone}", which does not offer instanceType "${instanceType}"; allowed: ${zones.join(", ")}. ` +
        "Nothing was changed.",
    );
  }
  return zones;
}

async function placeInNewVpc(
  { availabilityZone, domain }: PlacementArgs,
  offered: string[],
  opts: pulumi.InvokeOptions,
): Promise<Placement> {
  const first = availabilityZone ?? offered[0]!;
  const zones = [first, ...offered.filter((zone) => zone !== first)];
  if (domain === undefined) {
    return { zones: zones.slice(0, 2), instanceZones: [first], offered };
  }
  return {
    zones: zones.length > 1 ? zones : [first, await anotherZone(first, opts)],
    instanceZones: availabilityZone ? [first] : zones,
    offered,
  };
}

/** A load balancer requires two zones, even if only one offers the instance type. */
async function anotherZone(first: string, opts: pulumi.InvokeOptions): Promise<string> {
  const { names } = await lookUp(
    "the zones of the region",
    getAvailabilityZones(
      { state: "available", filters: [{ name: "opt-in-status", values: ["opt-in-not-required"] }] },
      opts,
    ),
  );
  return names.filter((zone) => ZONE.test(zone) && zone !== first).sort()[0]!;
}

async function placeInExistingVpc(
  args: PlacementArgs,
  vpcId: string,
  offered: string[],
  opts: pulumi.InvokeOptions,
): Promise<Placement> {
  const subnets = await subnetsByZone(args, vpcId, opts);
  const zones = Object.keys(subnets);
  const allowedZones = args.availabilityZone ? [args.availabilityZone] : offered;
  const instanceZones = zones.filter((zone) => allowedZones.includes(zone));
  const first = instanceZones[0];
  if (first === undefined) {
    throw refuseSubnets(
      args,
      `in ${zones.join(", ")}`,
      `at least one in ${allowedZones.join(" or ")}, which offer ${args.instanceType}`,
    );
  }
  const vpc = await lookUp(`the VPC ${vpcId}`, ec2.getVpc({ id: vpcId }, opts));
  return {
    zones: [first, ...zones.filter((zone) => zone !== first)],
    instanceZones: args.domain === undefined ? [first] : instanceZones,
    offered,
    existing: {
      vpcId,
      subnets,
      cidrBlocks: vpc.cidrBlockAssociations.map(({ cidrBlock }) => cidrBlock),
      routeTableIds: args.createVpcEndpoints ? await routeTables(vpcId, args.subnetIds, opts) : [],
    },
  };
}

/** Subnet IDs by zone, in the order of the settings. */
async function subnetsByZone(
  args: PlacementArgs,
  vpcId: string,
  opts: pulumi.InvokeOptions,
): Promise<Record<string, string>> {
  const found = await lookUp(
    `the subnets ${args.subnetIds.join(", ")}`,
    Promise.all(args.subnetIds.map((id) => ec2.getSubnet({ id }, opts))),
  );
  const foreign = found.find((subnet) => subnet.vpcId !== vpcId);
  if (foreign) {
    throw refuseSubnets(args, `of which ${foreign.id} is in ${foreign.vpcId}`, `subnets of vpcId ${vpcId}`);
  }
  const subnets = Object.fromEntries(found.map((subnet) => [subnet.availabilityZone, subnet.id]));
  if (Object.keys(subnets).length < found.length) {
    throw refuseSubnets(args, "of which two are in one zone", "one subnet in each zone");
  }
  return subnets;
}

function refuseSubnets({ subnetIds }: PlacementArgs, reason: string, allowed: string): pulumi.RunError {
  return new pulumi.RunError(
    `subnetIds is ${JSON.stringify(subnetIds)}, ${reason}; allowed: ${allowed}. Nothing was changed.`,
  );
}

/** A subnet without a route table of its own uses the VPC's main route table. */
async function routeTables(
  vpcId: string,
  subnetIds: string[],
  opts: pulumi.InvokeOptions,
): Promise<string[]> {
  const tables = (name: string, value: string) =>
    ec2.getRouteTables({ vpcId, filters: [{ name, values: [value] }] }, opts).then(({ ids }) => ids);
  const each = await lookUp(
    `the route tables of ${vpcId}`,
    Promise.all(
      subnetIds.map(async (id) => {
        const own = await tables("association.subnet-id", id);
        return own.length > 0 ? own : tables("association.main", "true");
      }),
    ),
  );
  return [...new Set(each.flat())].sort();
}
