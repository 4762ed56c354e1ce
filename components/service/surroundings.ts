import { getRegion } from "@pulumi/aws/getRegion";
import type * as pulumi from "@pulumi/pulumi";
import { requireMirrored, requireReadable } from "../bundle/sources";
import { lookUp } from "../lookUp";
import { findHostedZone } from "../network/hostedZone";
import { type Placement, resolvePlacement } from "../network/resolvePlacement";
import type { Settings } from "../settings/table";

/** What look-ups in AWS found before anything is created. */
export interface Surroundings {
  region: string;
  placement: Placement;
  /** Route 53 hosted zone of the domain; undefined without a domain. */
  hostedZoneId: string | undefined;
}

/**
 * Looks up region, zones, existing network and hosted zone, and rejects sources that cannot be read.
 *
 * @throws pulumi.RunError that names the setting that AWS cannot satisfy
 */
export async function lookUpSurroundings(
  settings: Settings,
  opts: pulumi.InvokeOptions,
): Promise<Surroundings> {
  const { region } = await lookUp("the provider's region", getRegion({}, opts));
  await requireReadable(settings.modelSource, opts);
  await requireMirrored(settings.packageMirror, opts);
  const placement = await resolvePlacement({ ...settings, region }, opts);
  const { domain, hostedZoneId } = settings;
  return {
    region,
    placement,
    hostedZoneId: domain && (hostedZoneId ?? (await findHostedZone(domain, opts))),
  };
}
