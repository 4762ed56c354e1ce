import type { CapacityRequest } from "../../components/compute/purchaseOption";
import { type Context, UsageError } from "../lib/commandLine";
import { type Rollout, type RolloutTiming, rollOut as run } from "./rollout";

/** Rolls out what the variables describe. */
export async function rollOut(context: Context, timing: Partial<RolloutTiming>): Promise<void> {
  const rollout = fromVariables(context.env);
  await run(rollout, {
    pollMs: 10_000,
    nextMs: 900_000,
    progress: (line) => context.err(`${line}\n`),
    ...timing,
  });
}

/** @throws UsageError */
function fromVariables(env: NodeJS.ProcessEnv): Rollout {
  const text = (name: string, allowed: string, pattern: RegExp) => {
    const value = env[name];
    if (value === undefined || !pattern.test(value)) {
      const shown = value === undefined ? "is not set" : `is ${JSON.stringify(value)}`;
      throw new UsageError(`${name} ${shown}; allowed: ${allowed}`);
    }
    return value;
  };
  return {
    group: text("ROLLOUT_AUTO_SCALING_GROUP", "the name of an Auto Scaling group", /./),
    template: {
      id: text("ROLLOUT_TEMPLATE_ID", "the ID of a launch template", /^lt-[0-9a-f]+$/),
      version: text("ROLLOUT_TEMPLATE_VERSION", "the number of a version", /^[1-9]\d*$/),
    },
    alarms: text("ROLLOUT_ALARMS", "names of alarms with a space between two", /^/)
      .split(" ")
      .filter(Boolean),
    readySeconds: Number(text("ROLLOUT_READY_SECONDS", "a whole number above 0", /^[1-9]\d*$/)),
    capacity: JSON.parse(
      text("ROLLOUT_CAPACITY", "what instances are requested with, as JSON", /^\{.*\}$/),
    ) as CapacityRequest,
    aws: {
      region: text("ROLLOUT_REGION", "an AWS region", /^[a-z0-9-]+$/),
      env,
      profile: env.ROLLOUT_PROFILE || undefined,
    },
  };
}
