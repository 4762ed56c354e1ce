import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { EmbeddingService } from "../embeddingService";
import { operatorCommand } from "./operatorCommand";

export interface VerificationArgs {
  service: EmbeddingService;
  /** Whether the similarities of the model card are required; true by default. */
  publishedWeights?: boolean;
  /** Maximum time from the launch of an instance to its first successful response; 2700 by default. */
  verificationTimeoutSeconds?: number;
  /** Endpoint URL for AWS services, for a proxy or an emulator. */
  awsEndpointUrl?: string;
  /** AWS profile to read the key with, if the provider uses one. */
  awsProfile?: string;
}

/**
 * Runs `verify` against the live endpoint, again whenever a key, the certificate, an instance or an argument changes. An
 * update whose endpoint does not pass every check fails, with one exception: where keys alone change, only the checks of
 * keys fail it, and the others warn. A key that leaked can be replaced whatever else is wrong.
 */
export class Verification extends pulumi.ComponentResource {
  constructor(name: string, args: VerificationArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qwen3-embedding-stack:index:Verification", name, {}, opts);
    const { service } = args;
    const command = operatorCommand("verify --from-env");
    const checked = environment(args);
    new local.Command(
      name,
      {
        create: command,
        // Keys are the only inputs that are not triggers too: any other change is a new verification.
        update: `${command} --fail-on keys`,
        triggers: [
          command,
          service.certificateVersion,
          orEmpty(service.launchTemplateVersion),
          ...Object.values(checked),
        ],
        environment: {
          ...checked,
          VERIFY_SECRET_ARN: service.secretArn,
          // Not read: it makes a new key a change.
          VERIFY_KEY_VERSIONS: service.keyVersions.apply((versions) => versions.join(" ")),
        },
        // The operator watches the progress and the table of checks; the program prints no key.
        logging: local.Logging.StdoutAndStderr,
      },
      { parent: this, dependsOn: [service], customTimeouts: { create: "5h", update: "5h" } },
    );
    this.registerOutputs({});
  }
}

/** What `verify --from-env` reads, apart from the secret with the key. */
function environment(args: VerificationArgs): Record<string, pulumi.Input<string>> {
  const { service, publishedWeights = true, verificationTimeoutSeconds = 2700 } = args;
  return {
    VERIFY_ENDPOINT: service.endpoint,
    VERIFY_CA_CERTIFICATE: service.caCertificate,
    VERIFY_REGION: service.region,
    VERIFY_MODEL: service.model,
    VERIFY_DIMENSIONS: pulumi.interpolate`${service.dimensions}`,
    VERIFY_INSTANCE_ID: orEmpty(service.instanceId),
    VERIFY_AUTO_SCALING_GROUP: orEmpty(service.autoScalingGroup),
    VERIFY_PUBLISHED_WEIGHTS: String(publishedWeights),
    VERIFY_TIMEOUT_SECONDS: String(verificationTimeoutSeconds),
    ...(args.awsProfile && { VERIFY_PROFILE: args.awsProfile }),
    ...(args.awsEndpointUrl && { AWS_ENDPOINT_URL: args.awsEndpointUrl }),
  };
}

function orEmpty(value: pulumi.Output<string | undefined>): pulumi.Output<string> {
  return value.apply((text) => text ?? "");
}
