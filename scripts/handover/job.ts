import type { AwsAccess } from "../lib/aws";
import { matching, type Rule, readValue, UsageError } from "../lib/commandLine";

/** What is handed over. */
export interface Job {
  /** The new instance. */
  instanceId: string;
  /** The Elastic IP address that clients use. */
  allocationId: string;
  /** How long the new instance may take until it serves. */
  timeoutSeconds: number;
  /** How long the old instance may take to complete its requests. */
  drainSeconds: number;
  aws: AwsAccess;
}

const SECONDS: Rule<number> = {
  allowed: "a whole number of seconds",
  read: (text) => (/^\d+$/.test(text) ? Number(text) : undefined),
};

/** Reads the HANDOVER_ variables. @throws UsageError */
export function jobFromEnv(env: NodeJS.ProcessEnv): Job {
  const read = <T>(name: string, rule: Rule<T>): T => {
    const text = env[name];
    if (text === undefined) {
      throw new UsageError(`${name} is not set: ${rule.allowed}`);
    }
    return readValue(name, text, rule);
  };
  return {
    instanceId: read("HANDOVER_INSTANCE_ID", matching(/^i-[0-9a-f]+$/, "an instance's ID, i-…")),
    allocationId: read(
      "HANDOVER_ALLOCATION_ID",
      matching(/^eipalloc-[0-9a-f]+$/, "the allocation ID of an Elastic IP address, eipalloc-…"),
    ),
    timeoutSeconds: read("HANDOVER_TIMEOUT_SECONDS", SECONDS),
    drainSeconds: read("HANDOVER_DRAIN_SECONDS", SECONDS),
    aws: {
      region: read("HANDOVER_REGION", matching(/^[a-z0-9-]+$/, "an AWS region")),
      env,
      profile: env.HANDOVER_PROFILE,
    },
  };
}
