import type { AwsAccess } from "../lib/aws";
import { UsageError } from "../lib/commandLine";
import { awsAccess, clientSecretArn, hasPublishedWeights, type Stack } from "../lib/stack";

/** A first boot on AWS installs SGLang and downloads 8 GB of weights: 15 minutes or more. */
export const DEFAULT_TIMEOUT_SECONDS = 45 * 60;

/** What is verified. */
export interface Target {
  /** Base URL, `https://HOST/v1`. */
  endpoint: string;
  /** PEM of the CAs to trust; empty for the public CAs. */
  caCertificate: string;
  secretArn: string;
  /** The name of the model in replies. */
  model: string;
  /** Length of an embedding. */
  dimensions: number;
  /** The instance to search for keys, or the Auto Scaling group of several. */
  instanceId?: string;
  autoScalingGroup?: string;
  /** Whether these are the published weights. Vectors of other weights have another meaning, or none. */
  publishedWeights: boolean;
  /** How long to wait for readiness. */
  timeoutSeconds: number;
  aws: AwsAccess;
}

export function targetFromStack(stack: Stack, client: string | undefined): Target {
  const { endpoint, caCertificate, model, dimensions, instanceId, autoScalingGroup } = stack.outputs;
  return {
    endpoint,
    caCertificate,
    model,
    dimensions,
    instanceId,
    autoScalingGroup,
    secretArn: clientSecretArn(stack, client),
    publishedWeights: hasPublishedWeights(stack),
    timeoutSeconds: DEFAULT_TIMEOUT_SECONDS,
    aws: awsAccess(stack),
  };
}

/** Reads the VERIFY_ variables, with which the Verification component runs this without a stack. @throws UsageError */
export function targetFromEnv(env: NodeJS.ProcessEnv): Target {
  const text = (name: string, allowed: string, pattern: RegExp) => {
    const value = env[name];
    if (value === undefined || !pattern.test(value)) {
      const shown = value === undefined ? "is not set" : `is ${JSON.stringify(value)}`;
      throw new UsageError(`${name} ${shown}: ${allowed}`);
    }
    return value;
  };
  const fleet = env.VERIFY_AUTO_SCALING_GROUP;
  const whole = (name: string) => Number(text(name, "a whole number above 0", /^[1-9]\d*$/));
  return {
    endpoint: text("VERIFY_ENDPOINT", "https://HOST/v1", /^https:\/\/[^/]+\/v1$/),
    caCertificate: text(
      "VERIFY_CA_CERTIFICATE",
      "a certificate in PEM, or empty for the public authorities",
      /-----BEGIN CERTIFICATE-----|^$/,
    ),
    secretArn: text("VERIFY_SECRET_ARN", "the ARN of a secret", /^arn:[^:]+:secretsmanager:/),
    model: text("VERIFY_MODEL", "the served model's name", /./),
    dimensions: whole("VERIFY_DIMENSIONS"),
    ...(fleet
      ? { autoScalingGroup: fleet }
      : { instanceId: text("VERIFY_INSTANCE_ID", "an instance's ID, i-…", /^i-[0-9a-f]+$/) }),
    publishedWeights: text("VERIFY_PUBLISHED_WEIGHTS", "true or false", /^(true|false)$/) === "true",
    timeoutSeconds: env.VERIFY_TIMEOUT_SECONDS ? whole("VERIFY_TIMEOUT_SECONDS") : DEFAULT_TIMEOUT_SECONDS,
    aws: { region: text("VERIFY_REGION", "an AWS region", /^[a-z0-9-]+$/), env, profile: env.VERIFY_PROFILE },
  };
}
