import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

export interface VerificationArgs {
  /** `https://HOST/v1` */
  endpoint: pulumi.Input<string>;
  /** PEM of the authority to verify the endpoint with; empty for those that everybody trusts. */
  caCertificate: pulumi.Input<string>;
  /** The secret whose key the checks use. They read it themselves: no key is an input here. */
  secretArn: pulumi.Input<string>;
  region: string;
  model: string;
  dimensions: number;
  /** The machine, or the fleet, that is searched for keys. */
  machines:
    | { instanceId: pulumi.Input<string> }
    | { autoScalingGroup: pulumi.Input<string>; templateVersion: pulumi.Input<string> };
  /** Whether the model card's similarities must hold. */
  publishedWeights: boolean;
  /** How long a machine may take from its start to its first answer. */
  timeoutSeconds: number;
  awsEndpointUrl?: string;
  /** AWS profile to read the key with, where the provider uses one. */
  profile?: string;
  /** Checked again when one of these changes: versions of keys and certificate. */
  revisions: pulumi.Input<string>[];
}

/** Runs scripts/verify against the live endpoint: an update that leaves it unverified fails. */
export class Verification extends pulumi.ComponentResource {
  constructor(name: string, args: VerificationArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qwen3-embedding-stack:index:Verification", name, {}, opts);
    const machines = machinesOf(args);
    const command = "npm run --silent verify -- --from-env";
    new local.Command(
      name,
      {
        create: command,
        // A new key or certificate is checked on the same machine; a new machine is a new verification.
        update: command,
        triggers: machines.triggers,
        environment: {
          VERIFY_ENDPOINT: args.endpoint,
          VERIFY_CA_CERTIFICATE: args.caCertificate,
          VERIFY_SECRET_ARN: args.secretArn,
          VERIFY_REGION: args.region,
          VERIFY_MODEL: args.model,
          VERIFY_DIMENSIONS: String(args.dimensions),
          ...machines.environment,
          VERIFY_PUBLISHED_WEIGHTS: String(args.publishedWeights),
          VERIFY_TIMEOUT_SECONDS: String(args.timeoutSeconds),
          VERIFY_REVISIONS: pulumi.all(args.revisions).apply((revisions) => revisions.join(" ")),
          ...(args.profile && { VERIFY_PROFILE: args.profile }),
          ...(args.awsEndpointUrl && { AWS_ENDPOINT_URL: args.awsEndpointUrl }),
        },
        // Progress and the table of checks are what the operator watches; the script prints no key.
        logging: local.Logging.StdoutAndStderr,
      },
      { parent: this, customTimeouts: { create: "5h", update: "5h" } },
    );
    this.registerOutputs({});
  }
}

/** How the checks find the machines, and what makes them new ones. */
function machinesOf({ machines }: VerificationArgs): {
  environment: Record<string, pulumi.Input<string>>;
  triggers: pulumi.Input<string>[];
} {
  if ("instanceId" in machines) {
    return { environment: { VERIFY_INSTANCE_ID: machines.instanceId }, triggers: [machines.instanceId] };
  }
  const { autoScalingGroup, templateVersion } = machines;
  return {
    environment: { VERIFY_AUTO_SCALING_GROUP: autoScalingGroup },
    triggers: [autoScalingGroup, templateVersion],
  };
}
