import { local } from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";
import { scriptCommand } from "../operations/scriptCommand";
import type { Settings } from "../settings/table";
import { accessVariables, type DeployerAccess } from "./launch";

export interface HandoverArgs extends Pick<Settings, "drainSeconds" | "verificationTimeoutSeconds"> {
  access: DeployerAccess;
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
        HANDOVER_TIMEOUT_SECONDS: String(args.verificationTimeoutSeconds),
        HANDOVER_DRAIN_SECONDS: String(args.drainSeconds),
        ...accessVariables("HANDOVER", args.access),
      },
      logging: local.Logging.StdoutAndStderr,
    },
    { parent, customTimeouts: { create: "5h" } },
  );
}
