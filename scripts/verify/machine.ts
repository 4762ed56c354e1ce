import { setTimeout as sleep } from "node:timers/promises";
import {
  GetCommandInvocationCommand,
  type GetCommandInvocationCommandOutput,
  SendCommandCommand,
  SSMClient,
} from "@aws-sdk/client-ssm";
import { type AwsAccess, awsClientConfig } from "../lib/aws";
import { describeError, excerpt, type Row } from "./row";

const AUDIT = "/usr/local/sbin/qwen3-audit --json";
const NAME = "the search on the machine";
const RUNNING = new Set(["Pending", "InProgress", "Delayed", "Cancelling"]);

export interface MachineOptions {
  pollMs: number;
  /** How long the agent may take to come online, in milliseconds. */
  onlineMs: number;
  /** How long the search may take, in milliseconds. */
  auditMs: number;
  progress(line: string): void;
}

/**
 * Has the machine search itself for keys, through Systems Manager, and takes over its rows. A machine that can't be
 * searched is a failed row.
 */
export async function machineRows(
  instanceId: string,
  access: AwsAccess,
  options: MachineOptions,
): Promise<Row[]> {
  const client = new SSMClient(awsClientConfig(access));
  options.progress(`searching ${instanceId} for keys`);
  try {
    return auditRows(await runAudit(client, instanceId, options));
  } catch (error) {
    return [{ name: NAME, ok: false, ...explain(error as Error, instanceId, access.region) }];
  } finally {
    client.destroy();
  }
}

async function runAudit(
  client: SSMClient,
  instanceId: string,
  options: MachineOptions,
): Promise<GetCommandInvocationCommandOutput> {
  const commandId = await sendWhenOnline(client, instanceId, options);
  const deadline = Date.now() + options.auditMs;
  for (;;) {
    const invocation = await invocationOf(client, commandId, instanceId);
    if (invocation && !RUNNING.has(invocation.Status ?? "Pending")) {
      return invocation;
    }
    if (Date.now() > deadline) {
      throw new Error(`${AUDIT} has not ended within ${options.auditMs / 1000} s`);
    }
    await sleep(options.pollMs);
  }
}

/** Right after the boot the agent may not have registered yet, which AWS reports as an invalid instance. */
async function sendWhenOnline(
  client: SSMClient,
  instanceId: string,
  { pollMs, onlineMs, auditMs }: MachineOptions,
): Promise<string> {
  const command = new SendCommandCommand({
    InstanceIds: [instanceId],
    DocumentName: "AWS-RunShellScript",
    Comment: "qwen3-embedding-stack: verify",
    Parameters: { commands: [AUDIT], executionTimeout: [String(Math.ceil(auditMs / 1000))] },
  });
  const deadline = Date.now() + onlineMs;
  for (;;) {
    try {
      const { Command } = await client.send(command);
      return Command?.CommandId ?? "";
    } catch (error) {
      if ((error as Error).name !== "InvalidInstanceId" || Date.now() > deadline) {
        throw error;
      }
      await sleep(pollMs);
    }
  }
}

/** undefined: Systems Manager does not know the invocation yet, as happens right after it was sent. */
async function invocationOf(
  client: SSMClient,
  commandId: string,
  instanceId: string,
): Promise<GetCommandInvocationCommandOutput | undefined> {
  try {
    return await client.send(
      new GetCommandInvocationCommand({ CommandId: commandId, InstanceId: instanceId }),
    );
  } catch (error) {
    if ((error as Error).name === "InvocationDoesNotExist") {
      return undefined;
    }
    throw error;
  }
}

/** @throws when the search did not report: then nothing is proved. */
function auditRows(invocation: GetCommandInvocationCommandOutput): Row[] {
  const { Status, StandardOutputContent: stdout = "", StandardErrorContent: stderr = "" } = invocation;
  const checks = parseChecks(stdout);
  if (checks === undefined || checks.length === 0) {
    throw new Error(`${AUDIT} reported nothing (${Status}): ${excerpt(stderr || stdout) || "no output"}`);
  }
  const rows = checks.map(({ name, ok, evidence }) => ({
    name,
    ok,
    evidence,
    ...(!ok && {
      next: "rotate the key, then find what wrote it: sudo qwen3-audit in a Session Manager shell",
    }),
  }));
  if (Status !== "Success" && rows.every(({ ok }) => ok)) {
    throw new Error(`${AUDIT} ended as ${Status}: ${excerpt(stderr) || "no error output"}`);
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
        next: "check the agent (systemctl status amazon-ssm-agent or its snap), the instance's role and its way to the ssm endpoint",
      };
    default:
      return {
        evidence: describeError(error),
        next: `run it by hand: aws ssm start-session --target ${instanceId} --region ${region}, then sudo ${AUDIT}`,
      };
  }
}
