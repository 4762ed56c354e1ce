import * as ec2 from "@pulumi/aws/ec2";
// Not the package itself: its types alone take the compiler seconds.
import { getAvailabilityZones } from "@pulumi/aws/getAvailabilityZones";
import * as pulumi from "@pulumi/pulumi";
import type { Settings } from "../settings/settings";

/** `us-east-1a`, not a Local Zone such as `us-east-1-atl-2a`, where an Elastic IP of the region cannot go. */
const ZONE = /^[a-z]{2,}(-[a-z]+)+-\d[a-z]$/;

/** Where everything goes. */
export interface Placement {
  /** Zones of the network, one subnet each; the first one is that of a single machine. */
  zones: string[];
  /** Those in which machines may be. */
  machineZones: string[];
  /** All zones of the region that offer the instance type. */
  offered: string[];
  /** An existing VPC, where it was asked for. */
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

type Wanted = Pick<
  Settings,
  "instanceType" | "region" | "availabilityZone" | "domain" | "existingVpc" | "createVpcEndpoints"
>;

/**
 * Finds the zones for machines and network among those where AWS offers the instance type. A single machine is in the
 * zone that was asked for, else the first by name, of a network that has one more; a fleet is in all of them.
 *
 * @throws pulumi.RunError when region, zone or subnets do not offer what is needed.
 */
export async function place(wanted: Wanted): Promise<Placement> {
  const offered = await zonesOffering(wanted);
  return wanted.existingVpc
    ? placeInExisting(wanted, offered, wanted.existingVpc)
    : placeInOwn(wanted, offered);
}

async function zonesOffering({ instanceType, region, availabilityZone }: Wanted): Promise<string[]> {
  const { locations } = await ec2.getInstanceTypeOfferings({
    locationType: "availability-zone",
    filters: [{ name: "instance-type", values: [instanceType] }],
  });
  const zones = locations.filter((zone) => ZONE.test(zone)).sort();
  if (zones.length === 0) {
    throw new pulumi.RunError(
      `instanceType is "${instanceType}", which AWS does not offer in aws:region "${region}"; allowed: a region that ` +
        "has it (`aws ec2 describe-instance-type-offerings --region REGION`). Nothing was changed.",
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

async function placeInOwn(wanted: Wanted, offered: string[]): Promise<Placement> {
  const first = wanted.availabilityZone ?? offered[0]!;
  const zones = [first, ...offered.filter((zone) => zone !== first)];
  if (wanted.domain === undefined) {
    return { zones: zones.slice(0, 2), machineZones: [first], offered };
  }
  const machineZones = wanted.availabilityZone ? [first] : zones;
  return { zones: zones.length > 1 ? zones : [first, await anotherZone(first)], machineZones, offered };
}

/** A load balancer wants two zones, also where the type is in one alone. */
async function anotherZone(first: string): Promise<string> {
  const { names } = await getAvailabilityZones({
    state: "available",
    filters: [{ name: "opt-in-status", values: ["opt-in-not-required"] }],
  });
  return names.filter((zone) => ZONE.test(zone) && zone !== first).sort()[0]!;
}

async function placeInExisting(
  wanted: Wanted,
  offered: string[],
  { vpcId, subnetIds }: NonNullable<Settings["existingVpc"]>,
): Promise<Placement> {
  const found = await Promise.all(subnetIds.map((id) => ec2.getSubnet({ id })));
  const refuse = (reason: string, allowed: string) =>
    new pulumi.RunError(
      `subnetIds is ${JSON.stringify(subnetIds)}, ${reason}; allowed: ${allowed}. Nothing was changed.`,
    );
  const foreign = found.find((subnet) => subnet.vpcId !== vpcId);
  if (foreign) {
    throw refuse(`of which ${foreign.id} is in ${foreign.vpcId}`, `subnets of vpcId ${vpcId}`);
  }
  const subnets = Object.fromEntries(found.map((subnet) => [subnet.availabilityZone, subnet.id]));
  const inOrder = [...new Set(found.map((subnet) => subnet.availabilityZone))];
  if (inOrder.length < found.length) {
    throw refuse("of which two are in one zone", "one subnet a zone");
  }
  const offering = inOrder.filter((zone) => offered.includes(zone));
  const machineZones = wanted.availabilityZone
    ? offering.filter((zone) => zone === wanted.availabilityZone)
    : offering;
  if (machineZones.length === 0) {
    const zones = wanted.availabilityZone ? [wanted.availabilityZone] : offered;
    throw refuse(
      `in ${inOrder.join(", ")}`,
      `at least one in ${zones.join(" or ")}, which offer ${wanted.instanceType}`,
    );
  }
  const first = machineZones[0]!;
  return {
    zones: [first, ...inOrder.filter((zone) => zone !== first)],
    machineZones: wanted.domain === undefined ? [first] : machineZones,
    offered,
    existing: {
      vpcId,
      subnets,
      cidrBlocks: (await ec2.getVpc({ id: vpcId })).cidrBlockAssociations.map(({ cidrBlock }) => cidrBlock),
      routeTableIds: wanted.createVpcEndpoints ? await routeTables(vpcId, subnetIds) : [],
    },
  };
}

/** A subnet without a table of its own follows the VPC's main one. */
async function routeTables(vpcId: string, subnetIds: string[]): Promise<string[]> {
  const tables = (name: string, value: string) =>
    ec2.getRouteTables({ vpcId, filters: [{ name, values: [value] }] }).then(({ ids }) => ids);
  const each = await Promise.all(
    subnetIds.map(async (id) => {
      const own = await tables("association.subnet-id", id);
      return own.length > 0 ? own : tables("association.main", "true");
    }),
  );
  return [...new Set(each.flat())].sort();
}
