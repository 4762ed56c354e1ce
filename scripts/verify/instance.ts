import type { AwsAccess } from "../lib/aws";
import { type RemoteResult, runOnInstance } from "../lib/systemsManager";
import { describeError, excerpt } from "../lib/text";
import type { Row } from "./row";

const AUDIT = "/usr/local/sbin/qwen3-audit --json";
const NAME = "the search on the instance";

export interface InstanceOptions {
  pollMs: number;
  /** How long to wait for the agent to come online, in milliseconds. */
  onlineMs: number;
  /** Time limit of the search, in milliseconds. */
  auditMs: number;
  progress(line: string): void;
}

/** Runs the search for keys on an instance and returns its rows. An instance that can't be searched is a failed row. */
export async function instanceRows(
  instanceId: string,
  access: AwsAccess,
  { pollMs, onlineMs, auditMs, progress }: InstanceOptions,
): Promise<Row[]> {
  progress(`searching ${instanceId} for keys`);
  const command = {
    instanceId,
    line: AUDIT,
    comment: "npm run verify",
    timeoutMs: auditMs,
    pollMs,
    onlineMs,
  };
  try {
    return auditRows(await runOnInstance(access, command));
  } catch (error) {
    return [{ name: NAME, ok: false, ...explain(error as Error, instanceId, access.region) }];
  }
}

/** @throws Error if the search did not report, because then it shows nothing. */
function auditRows({ status, stdout, stderr }: RemoteResult): Row[] {
  const checks = parseChecks(stdout);
  if (checks === undefined || checks.length === 0) {
    throw new Error(`${AUDIT} reported nothing (${status}): ${excerpt(stderr || stdout) || "no output"}`);
  }
  const rows = checks.map(({ name, ok, evidence }) => ({
    name,
    ok,
    evidence,
    ...(!ok && {
      next: "rotate the key, then find what wrote it: sudo qwen3-audit in a Session Manager shell",
    }),
  }));
  if (status !== "Success" && rows.every(({ ok }) => ok)) {
    throw new Error(`${AUDIT} ended as ${status}: ${excerpt(stderr) || "no error output"}`);
  }
  return rows;
}

function parseChecks(stdout: string): { name: string; ok: boolean; evidence: string }[] | undefined {
  try {
    const { checks } = JSON.parse(stdout);
    const whole =
      Array.isArray(checks) && checks.every((c) => typeof c.name === "string" && typeof c.ok === "boolean");
    return whole ? checks.map((c) => ({ ...c, evidence: String(c.evidence ?? "") })) : undefined;
  } catch {
    return undefined;
  }
}

function explain(error: Error, instanceId: string, region: string): { evidence: string; next: string } {
  switch (error.name) {
    case "AccessDeniedException":
    case "AccessDenied":
      return {
        evidence: `not allowed: ${excerpt(error.message)}`,
        next: `these credentials need ssm:SendCommand on document/AWS-RunShellScript and ${instanceId}, and ssm:GetCommandInvocation`,
      };
    case "InvalidInstanceId":
      return {
        evidence: `Systems Manager does not know ${instanceId} in ${region}, or its agent is offline`,
        next: "check the agent (systemctl status amazon-ssm-agent or its snap), the instance's role, and its connection to the ssm endpoint",
      };
    default:
      return {
        evidence: describeError(error),
        next: `run it yourself: aws ssm start-session --target ${instanceId} --region ${region}, then sudo ${AUDIT}`,
      };
  }
}
