import * as ssm from "@pulumi/aws/ssm";
import type * as pulumi from "@pulumi/pulumi";

// What an instance and a launch template have in common: the machine is the same either way.

/** AWS's public parameter for the Ubuntu 24.04 image with NVIDIA's open driver and CUDA. */
const AMI_PARAMETER =
  "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id";

/** The ID of AWS's latest image. It moves with every release: whoever uses it ignores changes of it. */
export function latestImage(parent: pulumi.Resource): pulumi.Output<string> {
  return ssm.getParameterOutput({ name: AMI_PARAMETER }, { parent }).insecureValue;
}

/** IMDSv2 only, and not through a hop: no container or proxy hands the role's credentials on. */
export const METADATA_OPTIONS = {
  httpEndpoint: "enabled",
  httpTokens: "required",
  httpPutResponseHopLimit: 1,
};

/** The encrypted root volume. */
export function rootVolume(sizeGib: number) {
  return {
    volumeType: "gp3",
    volumeSize: sizeGib,
    // Reading 8 GB of weights and 11 GB of libraries is what a start waits for.
    throughput: 500,
    iops: 4000,
  };
}

/** A plain record whose values may be outputs. */
export type MachineInputs<T> = pulumi.Inputs & { [K in keyof T]: pulumi.Input<T[K]> };
