import type { AwsAccess } from "../lib/aws";
import { type RemoteResult, runOnInstance } from "../lib/systemsManager";
import { describeError, excerpt } from "../lib/text";
import type { Row } from "./row";

const PROGRAM = "/usr/local/sbin/qwen3-check";

/** The row that replaces all others if an instance cannot be checked. */
export const INSTANCE = "the checks on the instance";

export interface InstanceOptions {
  pollMs: number;
  /** How long to wait for the agent to come online, in milliseconds. */
  onlineMs: number;
  /** Time limit of the checks, in milliseconds. */
  checkMs: number;
  /** How long the instance waits for a worker that is starting. */
  waitSeconds: number;
  progress(line: string): void;
}

/** Runs the checks on an instance and returns their rows. An instance that can't be checked is a failed row. */
export async function instanceRows(
  instanceId: string,
  access: AwsAccess,
  { pollMs, onlineMs, checkMs, waitSeconds, progress }: InstanceOptions,
): Promise<Row[]> {
  progress(`checking ${instanceId} from the inside, and searching it for keys`);
  const line = `${PROGRAM} --json --wait ${waitSeconds}`;
  const command = { instanceId, line, comment: "npm run verify", timeoutMs: checkMs, pollMs, onlineMs };
  try {
    return reportedRows(line, await runOnInstance(access, command));
  } catch (error) {
    return [
      {
        name: INSTANCE,
        about: "keys",
        ok: false,
        ...explain(error as Error, line, instanceId, access.region),
      },
    ];
  }
}

/** @throws Error if the program did not report, because then it shows nothing. */
export function reportedRows(line: string, { status, stdout, stderr }: RemoteResult): Row[] {
  const rows = parseRows(stdout);
  if (rows === undefined || rows.length === 0) {
    throw new Error(`${line} reported nothing (${status}): ${excerpt(stderr || stdout) || "no output"}`);
  }
  if (status !== "Success" && rows.every(({ ok }) => ok !== false)) {
    throw new Error(`${line} ended as ${status}: ${excerpt(stderr) || "no error output"}`);
  }
  return rows;
}

function parseRows(stdout: string): Row[] | undefined {
  try {
    const { checks } = JSON.parse(stdout);
    return Array.isArray(checks) && checks.every(isRow) ? checks.map(row) : undefined;
  } catch {
    return undefined;
  }
}

function isRow({ name, about, ok }: Partial<Row>): boolean {
  return (
    typeof name === "string" &&
    (about === "keys" || about === "service") &&
    (typeof ok === "boolean" || ok === null)
  );
}

/** Without fields that other versions of the program may add. */
function row({ name, about, ok, evidence, next }: Row): Row {
  return {
    name,
    about,
    ok,
    evidence: String(evidence ?? ""),
    ...(ok === false && next && { next: String(next) }),
  };
}

function explain(
  error: Error,
  line: string,
  instanceId: string,
  region: string,
): { evidence: string; next: string } {
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
        next: /qwen3-check: (not found|No such file)/.test(error.message)
          ? "the instance was made by an earlier version of this repository: pulumi up replaces it"
          : `run it yourself: aws ssm start-session --target ${instanceId} --region ${region}, then sudo ${line}`,
      };
  }
}
