import type { Context } from "../lib/commandLine";
import { reportRows } from "../verify/report";
import type { Row } from "../verify/row";
import { clockCheck, credentialsCheck, regionCheck } from "./access";
import { Account } from "./account";
import { capacityChecks } from "./capacity";
import { type Check, runCheck } from "./check";
import type { DoctorOptions } from "./command";
import { nameChecks } from "./names";
import { networkChecks } from "./network";
import { sourceChecks } from "./sources";
import { readSubject, type Subject, type Tuning } from "./subject";
import { toolChecks } from "./tools";

/** Checks what a deployment of the stack needs, and prints one row per check. */
export async function examine(
  { stack, json }: DoctorOptions,
  context: Context,
  tuning: Partial<Tuning>,
): Promise<void> {
  await reportRows(context, json, async () => {
    const subject = readSubject(stack, context.env, tuning);
    return { rows: await check(subject, context.env), about: { stack, region: subject.region } };
  });
}

/** @param env the variables of the shell, in which Pulumi will run */
async function check(subject: Subject, env: NodeJS.ProcessEnv): Promise<Row[]> {
  const account = new Account(subject.access);
  try {
    const tools = toolChecks(env).map(runCheck);
    const credentials = await runCheck(credentialsCheck(account, subject));
    const clock = await runCheck(clockCheck(account));
    const rest = [
      regionCheck(account, subject),
      ...capacityChecks(account, subject),
      ...networkChecks(account, subject),
      ...sourceChecks(account, subject),
      ...nameChecks(account, subject),
    ];
    // STS never denies its one action to valid credentials.
    const run = credentials.ok ? runCheck : skip;
    return [...(await Promise.all(tools)), credentials, clock, ...(await Promise.all(rest.map(run)))];
  } finally {
    account.close();
  }
}

async function skip({ name }: Check): Promise<Row> {
  return { name, ok: null, evidence: "skipped: no credentials that AWS accepts" };
}
