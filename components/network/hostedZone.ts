import * as route53 from "@pulumi/aws/route53";
import * as pulumi from "@pulumi/pulumi";

/**
 * The ID of the public Route 53 hosted zone of a domain: the one with the longest name that the domain ends in.
 *
 * @throws pulumi.RunError when this account has none.
 */
export async function findHostedZone(domain: string, opts: pulumi.InvokeOptions): Promise<string> {
  const labels = domain.split(".");
  const candidates = labels.slice(0, -1).map((_, index) => labels.slice(index).join("."));
  let last = "";
  for (const name of candidates) {
    try {
      return (await route53.getZone({ name, privateZone: false }, opts)).zoneId;
    } catch (error) {
      // A missing zone is an error like any other; the last one is shown below.
      last = (error as Error).message;
    }
  }
  throw new pulumi.RunError(
    `domain is "${domain}", for which no public hosted zone in Route 53 was found (searched for ${candidates.join(", ")}); allowed: a ` +
      `name in one of this account's zones, or hostedZoneId with the ID of the zone. Nothing was changed. The provider returned: ${last}`,
  );
}
