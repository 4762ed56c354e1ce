import * as ec2 from "@pulumi/aws/ec2";
import * as pulumi from "@pulumi/pulumi";

/** `us-east-1a`, not a Local Zone such as `us-east-1-atl-2a`, where an Elastic IP of the region cannot go. */
const ZONE = /^[a-z]{2,}(-[a-z]+)+-\d[a-z]$/;

/**
 * Zones for the machine's network, the machine's own first: the one that was asked for, else the first by name, and
 * one more, among those where AWS offers the instance type.
 *
 * @throws pulumi.RunError when the region, or the zone that was asked for, does not offer the type.
 */
export async function zonesOffering(
  instanceType: string,
  region: string,
  wanted: string | undefined,
): Promise<string[]> {
  const offered = await ec2.getInstanceTypeOfferings({
    locationType: "availability-zone",
    filters: [{ name: "instance-type", values: [instanceType] }],
  });
  const zones = offered.locations.filter((zone) => ZONE.test(zone)).sort();
  if (zones.length === 0) {
    throw new pulumi.RunError(
      `instanceType is "${instanceType}", which AWS does not offer in aws:region "${region}"; allowed: a region that ` +
        "has it (`aws ec2 describe-instance-type-offerings --region REGION`). Nothing was changed.",
    );
  }
  if (wanted !== undefined && !zones.includes(wanted)) {
    throw new pulumi.RunError(
      `availabilityZone is "${wanted}", which does not offer instanceType "${instanceType}"; allowed: ${zones.join(", ")}. ` +
        "Nothing was changed.",
    );
  }
  const first = wanted ?? zones[0]!;
  return [first, ...zones.filter((zone) => zone !== first)].slice(0, 2);
}
