import * as ssm from "@pulumi/aws/ssm";
import type * as pulumi from "@pulumi/pulumi";

/** AWS's public parameter for the Ubuntu 24.04 AMI with NVIDIA's open driver and CUDA. */
export const AMI_PARAMETER =
  "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id";

/** The ID of AWS's latest AMI. It changes with every release, so resources that use it ignore changes of it. */
export function latestImage(parent: pulumi.Resource): pulumi.Output<string> {
  return ssm.getParameterOutput({ name: AMI_PARAMETER }, { parent }).insecureValue;
}
