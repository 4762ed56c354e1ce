import * as ssm from "@pulumi/aws/ssm";
import * as pulumi from "@pulumi/pulumi";

/** AWS's public parameter for the Ubuntu 24.04 AMI with NVIDIA's open driver and CUDA. */
export const AMI_PARAMETER =
  "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id";

/** The AMI of the instances. */
export interface Image {
  /** ID of the AMI: a plain value if the setting `imageId` selects it, because the name of an instance contains it. */
  id: pulumi.Input<string>;
  /** URN to replace in order to move to AWS's latest AMI; undefined if the setting `imageId` selects the AMI. */
  urnToReplace?: pulumi.Output<string>;
}

/** The AMI that the setting selects, otherwise the one that was AWS's latest when the stack was created. */
export function selectImage(name: string, imageId: string | undefined, parent: pulumi.Resource): Image {
  return imageId === undefined ? keepLatest(name, parent) : { id: imageId };
}

/**
 * "Latest" changes with every release of AWS. The stash keeps its first value in the stack's state, so a replacement of
 * an instance, for whatever reason, does not bring another kernel and driver. `ignoreChanges` on the instance would not
 * do that: the engine takes a replacement's inputs from the program.
 */
function keepLatest(name: string, parent: pulumi.Resource): Image {
  const latest = ssm.getParameterOutput({ name: AMI_PARAMETER }, { parent }).insecureValue;
  const stash = new pulumi.Stash(
    `${name}-image`,
    { input: latest },
    // Otherwise each release of AWS is a pending change, although the output keeps its value. A replacement of the stash
    // itself takes the new input all the same.
    { parent, ignoreChanges: ["input"] },
  );
  return { id: stash.output as pulumi.Output<string>, urnToReplace: stash.urn };
}
