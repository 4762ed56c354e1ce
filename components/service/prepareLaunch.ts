import * as pulumi from "@pulumi/pulumi";
import { Artifacts } from "../bundle/artifacts";
import { renderBundle } from "../bundle/bundle";
import type { FleetMembership } from "../bundle/instanceConfig";
import { GPU_INSTANCE_TYPES, workersOf } from "../compute/instanceTypes";
import type { DeployerAccess, LaunchArgs } from "../compute/launch";
import type { Certificate } from "../keys/certificate";
import type { Network } from "../network/network";
import { VpcEndpoints } from "../network/vpcEndpoints";
import type { ServiceContext } from "./context";

/** Uploads what an instance installs, and describes the launch of one. */
export async function prepareLaunch(
  context: ServiceContext,
  network: Network,
  certificate: Certificate,
  fleet?: FleetMembership,
): Promise<LaunchArgs> {
  const { name, settings, keys, image, region, placement, parent } = context;
  const workers = workersOf(settings);
  const bundle = await renderBundle({ ...settings, workers, fleet });
  const artifacts = new Artifacts(
    name,
    {
      bundle,
      clients: Object.fromEntries(Object.entries(keys).map(([client, key]) => [client, key.secretArn])),
      certificateSecretArn: certificate.secretArn,
      keyGraceSeconds: settings.keyGraceSeconds,
    },
    { parent },
  );
  const { bucket, bucketArn, bundleKey, indexKey } = artifacts;
  const { purchaseOption, capacityReservationId, instanceType } = settings;
  const capacity = {
    ...{ purchaseOption, capacityReservationId, instanceType },
    zones: placement.instanceZones,
    offered: placement.offered,
    vcpus: GPU_INSTANCE_TYPES[instanceType]?.vcpus,
  };
  return {
    ...settings,
    imageId: image.id,
    config: { ...settings, region, workers, fleet, bucket, bundleKey, bundleSha256: bundle.sha256, indexKey },
    securityGroupId: network.securityGroupId,
    secretArns: [...Object.values(keys).map((key) => key.secretArn), certificate.secretArn],
    bucketArn,
    capacity,
    after: [network, artifacts, ...createVpcEndpoints(context, network, fleet)],
  };
}

/** How the commands of an update reach AWS. */
export function deployerAccess({ region, settings: { awsEndpointUrl } }: ServiceContext): DeployerAccess {
  return { region, profile: new pulumi.Config("aws").get("profile"), awsEndpointUrl };
}

function createVpcEndpoints(
  { name, settings, region, placement, parent }: ServiceContext,
  network: Network,
  fleet: FleetMembership | undefined,
): VpcEndpoints[] {
  if (!placement.existing || !settings.createVpcEndpoints) {
    return [];
  }
  const args = {
    region,
    vpcId: network.vpcId,
    subnetIds: network.subnetIds,
    routeTableIds: placement.existing.routeTableIds,
    instanceSecurityGroupId: network.securityGroupId,
    publishesUtilization: fleet?.publishesUtilization ?? false,
  };
  return [new VpcEndpoints(name, args, { parent })];
}
