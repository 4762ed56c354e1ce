import { setTimeout as sleep } from "node:timers/promises";
import {
  GetCommandInvocationCommand,
  type GetCommandInvocationCommandOutput,
  SendCommandCommand,
  SSMClient,
} from "@aws-sdk/client-ssm";
import { type AwsAccess, awsClientConfig } from "./aws";

const RUNNING = new Set(["Pending", "InProgress", "Delayed", "Cancelling"]);

/** A shell command line for one instance. */
export interface RemoteCommand {
  instanceId: string;
  line: string;
  /** Comment in the history of Systems Manager. */
  comment: string;
  /** Time limit. */
  timeoutMs: number;
  pollMs: number;
  /** How long to wait for the agent to come online; 0 by default. */
  onlineMs?: number;
  /** Called once the command is sent, and at every poll until it has ended. */
  onPoll?(elapsedMs: number): void;
}

export interface RemoteResult {
  status: string;
  stdout: string;
  stderr: string;
}

/** Runs a command as root on an instance, through Systems Manager, and waits until it ends. */
export async function runOnInstance(access: AwsAccess, command: RemoteCommand): Promise<RemoteResult> {
  const client = new SSMClient(awsClientConfig(access));
  try {
    const commandId = await sendWhenOnline(client, command);
    return await untilEnded(client, commandId, command);
  } finally {
    client.destroy();
  }
}

/** Shortly after the boot the agent may not have registered yet, which AWS reports as an invalid instance. */
async function sendWhenOnline(
  client: SSMClient,
  { instanceId, line, comment, timeoutMs, pollMs, onlineMs = 0 }: RemoteCommand,
): Promise<string> {
  const send = new SendCommandCommand({
    InstanceIds: [instanceId],
    DocumentName: "AWS-RunShellScript",
    Comment: comment,
    Parameters: { commands: [line], executionTimeout: [String(Math.ceil(timeoutMs / 1000))] },
  });
  const deadline = Date.now() + onlineMs;
  for (;;) {
    try {
      const { Command } = await client.send(send);
      return Command?.CommandId ?? "";
    } catch (error) {
      if ((error as Error).name !== "InvalidInstanceId" || Date.now() > deadline) {
        throw error;
      }
      await sleep(pollMs);
    }
  }
}

async function untilEnded(
  client: SSMClient,
  commandId: string,
  { instanceId, line, timeoutMs, pollMs, onPoll }: RemoteCommand,
): Promise<RemoteResult> {
  const begin = Date.now();
  for (;;) {
    onPoll?.(Date.now() - begin);
    const invocation = await invocationOf(client, commandId, instanceId);
    if (invocation && !RUNNING.has(invocation.Status ?? "Pending")) {
      const { Status = "", StandardOutputContent = "", StandardErrorContent = "" } = invocation;
      return { status: Status, stdout: StandardOutputContent, stderr: StandardErrorContent };
    }
    if (Date.now() - begin > timeoutMs) {
      throw new Error(`${line} has not ended within ${timeoutMs / 1000} s`);
    }
    await sleep(pollMs);
  }
}

/** Returns undefined while Systems Manager does not have the invocation, which can happen shortly after it was sent. */
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
