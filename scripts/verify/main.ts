import { type Context, UsageError } from "../lib/commandLine";
import { readKey } from "../lib/secrets";
import { openStack } from "../lib/stack";
import { describeError } from "../lib/text";
import type { VerifyOptions } from "./command";
import { reportRows } from "./report";
import type { Row } from "./row";
import { type RunOptions, verify } from "./run";
import { type Target, targetFromEnv, targetFromStack } from "./target";

/** The row that replaces all others if it fails. */
export const KEY_READ = "the key can be read";

const WHY_WARNINGS =
  "not about keys, so not a reason to fail a change of keys alone. Fix them: npm run verify without --fail-on keys fails.";

/** Checks what the options select, and prints one row per check. */
export async function verifyEndpoint(
  options: VerifyOptions,
  context: Context,
  tuning: Partial<RunOptions>,
): Promise<void> {
  const verified = async () => {
    const target = await findTarget(options, context.env);
    const rows = await check(target, context, {
      skipMachine: options.skipMachine ?? false,
      failOn: options.failOn,
      progress: (line) => context.err(`${line}\n`),
      ...tuning,
    });
    return { rows, about: { endpoint: target.endpoint, model: target.model } };
  };
  await reportRows(context, options.json, verified, WHY_WARNINGS);
}

async function findTarget(options: VerifyOptions, env: NodeJS.ProcessEnv): Promise<Target> {
  const target = options.fromEnv
    ? targetFromEnv(env)
    : targetFromStack(await openStack(nameOf(options), env), options.client);
  return { ...target, timeoutSeconds: options.timeout ?? target.timeoutSeconds };
}

/** @throws UsageError */
function nameOf({ stack }: VerifyOptions): string {
  if (stack === undefined) {
    throw new UsageError("neither --stack NAME nor --from-env is set");
  }
  return stack;
}

async function check(target: Target, context: Context, options: RunOptions): Promise<Row[]> {
  let key: string;
  try {
    key = await readKey(target.secretArn, target.aws);
  } catch (error) {
    // Before the wait, which may be long and would be in vain.
    return [
      {
        name: KEY_READ,
        about: "keys",
        ok: false,
        evidence: describeError(error),
        next: "fix that, then run verify again",
      },
    ];
  }
  context.hide(key);
  return verify(target, key, options);
}
