import { type Context, UsageError } from "../lib/commandLine";
import { awsAccess, openStack, type Stack } from "../lib/stack";
import { runOnInstance } from "../lib/systemsManager";
import type { TuneOptions, TuneTuning } from "./command";

/** Time limit of the whole measurement: each candidate loads the weights and may compile kernels. */
const TIMEOUT_MS = 4 * 3_600_000;
const MINUTE_MS = 60_000;

/** Measures on an instance, and prints its report. @throws UsageError */
export async function tune(options: TuneOptions, context: Context, { pollMs }: TuneTuning): Promise<void> {
  if (!options.yes) {
    throw new UsageError(
      "worker 0 does not serve during the measurement, and on an instance with one GPU nothing does: confirm with --yes",
    );
  }
  const stack = await openStack(options.stack, context.env);
  const instanceId = options.instance ?? onlyInstance(stack);
  const line = remoteLine(options);
  context.err(`${line} on ${instanceId}\n`);
  const { status, stdout, stderr } = await runOnInstance(awsAccess(stack), {
    instanceId,
    line,
    comment: "npm run tune",
    timeoutMs: TIMEOUT_MS,
    pollMs,
    onPoll: minuteByMinute((minutes) => context.err(`  ${minutes} min\n`)),
  });
  context.out(stdout);
  if (status !== "Success") {
    context.err(
      `tune: qwen3-tune on ${instanceId} ended as ${status}: ${stderr.trim() || "no error output"}\n`,
    );
    context.status = 1;
  }
}

function onlyInstance({ name, outputs }: Stack): string {
  if (outputs.instanceId === undefined) {
    throw new UsageError(
      `stack ${name} is a fleet, ${outputs.autoScalingGroup}: select the instance to measure on with --instance`,
    );
  }
  return outputs.instanceId;
}

function remoteLine({ seconds, candidates }: TuneOptions): string {
  const only = candidates === undefined ? "" : ` --candidates '${candidates}'`;
  return `/usr/local/sbin/qwen3-tune --seconds ${seconds}${only}`;
}

/** Calls `tell` once per full minute. */
function minuteByMinute(tell: (minutes: number) => void): (elapsedMs: number) => void {
  let told = 0;
  return (elapsedMs) => {
    const minutes = Math.floor(elapsedMs / MINUTE_MS);
    if (minutes > told) {
      told = minutes;
      tell(minutes);
    }
  };
}
