import * as route53 from "@pulumi/aws/route53";
import * as pulumi from "@pulumi/pulumi";

/**
 * The ID of the public Route 53 zone that a domain is in: the longest one whose name the domain ends in.
 *
 * @throws pulumi.RunError when this account has none.
 */
export async function findHostedZone(domain: string): Promise<string> {
  const labels = domain.split(".");
  const candidates = labels.slice(0, -1).map((_, index) => labels.slice(index).join("."));
  let said = "";
  for (const name of candidates) {
    try {
      return (await route53.getZone({ name, privateZone: false })).zoneId;
    } catch (error) {
      // A zone that is not there is an error like any other; what the last one was is shown below.
      said = (error as Error).message;
    }
  }
  throw new pulumi.RunError(
    `domain is "${domain}", for which no public zone in Route 53 was found (looked for ${candidates.join(", ")}); allowed: a ` +
      `name in one of this account's zones, or hostedZoneId with the zone's ID. Nothing was changed. AWS said: ${said}`,
  );
}
