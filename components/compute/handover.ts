import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { scriptCommand } from "../operations/scriptCommand";
import type { Settings } from "../settings/table";

export interface HandoverArgs
  extends Pick<Settings, "drainSeconds" | "verificationTimeoutSeconds" | "awsEndpointUrl"> {
  region: string;
  /** The instance that will have the address. */
  instanceId: pulumi.Input<string>;
  /** The Elastic IP address. */
  allocationId: pulumi.Input<string>;
}

/**
 * The step between a new instance and the address: waits until the new instance serves what the old one serves, then
 * completes the requests of the old one. If the new instance does not get that far, it is terminated, the update fails,
 * and the address stays where it is. It uses the credentials of the environment, or the profile in `aws:profile`.
 */
export function createHandover(name: string, args: HandoverArgs, parent: pulumi.Resource): pulumi.Resource {
  const profile = new pulumi.Config("aws").get("profile");
  return new local.Command(
    `${name}-handover`,
    {
      create: scriptCommand("handover --from-env"),
      // Other limits are no reason to hand over again.
      update: "true",
      triggers: [args.instanceId],
      environment: {
        HANDOVER_INSTANCE_ID: args.instanceId,
        HANDOVER_ALLOCATION_ID: args.allocationId,
        HANDOVER_REGION: args.region,
        HANDOVER_TIMEOUT_SECONDS: String(args.verificationTimeoutSeconds),
        HANDOVER_DRAIN_SECONDS: String(args.drainSeconds),
        ...(profile && { HANDOVER_PROFILE: profile }),
        ...(args.awsEndpointUrl && { AWS_ENDPOINT_URL: args.awsEndpointUrl }),
      },
      logging: local.Logging.StdoutAndStderr,
    },
    { parent, customTimeouts: { create: "5h" } },
  );
}
