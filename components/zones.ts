import * as ec2 from "@pulumi/aws/ec2";
import * as pulumi from "@pulumi/pulumi";

/**
 * Zones for the machine's network: where AWS offers the instance type, in a stable order.
 *
 * @throws pulumi.RunError when the region does not offer the type.
 */
export async function zonesOffering(instanceType: string, region: string): Promise<string[]> {
  const offered = await ec2.getInstanceTypeOfferings({
    locationType: "availability-zone",
    filters: [{ name: "instance-type", values: [instanceType] }],
  });
  const zones = [...offered.locations].sort();
  if (zones.length === 0) {
    throw new pulumi.RunError(
      `instanceType is "${instanceType}", which AWS does not offer in aws:region "${region}"; allowed: a region that ` +
        "has it (`aws ec2 describe-instance-type-offerings --region REGION`). Nothing was changed.",
    );
  }
  return zones.slice(0, 2);
}
