import type * as pulumi from "@pulumi/pulumi";
import type { InstanceConfig } from "../bundle/instanceConfig";
import type { Settings } from "../settings/table";
import type { CapacityRequest } from "./purchaseOption";

/** A plain record whose values may be outputs. */
export type InputsOf<T> = pulumi.Inputs & { [K in keyof T]: pulumi.Input<T[K]> };

/** What an instance and the launch template of a fleet have in common. */
export interface LaunchArgs
  extends Pick<
    Settings,
    "instanceType" | "purchaseOption" | "capacityReservationId" | "rootVolumeGib" | "permissionsBoundary"
  > {
  /** ID of the AMI; see image.ts. */
  imageId: pulumi.Input<string>;
  /** What the instance is; see {@link InstanceConfig}. */
  config: InputsOf<InstanceConfig>;
  securityGroupId: pulumi.Input<string>;
  /** The secrets that the instance can read. */
  secretArns: pulumi.Input<string>[];
  bucketArn: pulumi.Input<string>;
  /** For advice when AWS has no capacity. */
  capacity: CapacityRequest;
  /** Resources that must exist before the instance boots, in addition to its inputs. */
  after: pulumi.Resource[];
}

/** How the commands that an update runs reach AWS: with the deployer's own credentials. */
export interface DeployerAccess {
  region: string;
  /** AWS profile, if the provider uses one. */
  profile?: string;
  awsEndpointUrl?: string;
}

/** The variables of {@link DeployerAccess} for a command whose variables begin with `prefix`. */
export function accessVariables(
  prefix: string,
  { region, profile, awsEndpointUrl }: DeployerAccess,
): Record<string, string> {
  return {
    [`${prefix}_REGION`]: region,
    ...(profile && { [`${prefix}_PROFILE`]: profile }),
    ...(awsEndpointUrl && { AWS_ENDPOINT_URL: awsEndpointUrl }),
  };
}

/** IMDSv2 only, with a hop limit of 1: no container or proxy can pass the role's credentials on. */
export const METADATA_OPTIONS = {
  httpEndpoint: "enabled",
  httpTokens: "required",
  httpPutResponseHopLimit: 1,
};

/** The gp3 root volume; the caller adds its encryption. */
export function rootVolume(sizeGib: number) {
  return {
    volumeType: "gp3",
    volumeSize: sizeGib,
    // A start reads 8 GB of weights and 11 GB of libraries.
    throughput: 500,
    iops: 4000,
  };
}
