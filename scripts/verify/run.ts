import { EndpointClient } from "./client";
import { doorChecks } from "./doorChecks";
import { embeddingChecks } from "./embeddingChecks";
import { type MachineOptions, machineRows } from "./machine";
import { type Row, runCheck } from "./row";
import type { Target } from "./target";
import { type TransportOptions, transportChecks } from "./transportChecks";
import { KEY_WAIT_MS, waitForHealth, waitForKey } from "./wait";

export interface RunOptions extends TransportOptions {
  skipMachine: boolean;
  progress(line: string): void;
  pollMs?: number;
  keyWaitMs?: number;
  machine?: Partial<MachineOptions>;
}

/** Waits until the endpoint is ready, then checks it and its machine. */
export async function verify(target: Target, key: string, options: RunOptions): Promise<Row[]> {
  const { progress, pollMs = 2000, keyWaitMs = KEY_WAIT_MS } = options;
  const client = new EndpointClient(target.endpoint, target.caCertificate, key);
  try {
    const wait = { pollMs, progress, timeoutMs: target.timeoutSeconds * 1000 };
    const health = await waitForHealth(client, wait);
    const readiness = readinessRow(health, target);
    if (!health.ready) {
      return [readiness];
    }
    await waitForKey(client, { ...wait, timeoutMs: keyWaitMs });
    const checks = [
      ...doorChecks(client, target),
      ...embeddingChecks(client, target),
      ...transportChecks(target, options),
    ];
    const rows = [readiness];
    for (const check of checks) {
      rows.push(await runCheck(check));
    }
    return rows.concat(await machine(target, options));
  } finally {
    await client.close();
  }
}

function readinessRow(health: { ready: boolean; seconds: number; state: string }, target: Target): Row {
  const name = "the endpoint is ready";
  return health.ready
    ? { name, ok: true, evidence: `after ${health.seconds} s` }
    : {
        name,
        ok: false,
        evidence: `not within ${target.timeoutSeconds} s; last: ${health.state}`,
        next:
          `see how far the boot came: aws ssm start-session --target ${target.instanceId} --region ` +
          `${target.aws.region}, then cloud-init status --long and journalctl -u 'qwen3-*'`,
      };
}

async function machine(
  target: Target,
  { skipMachine, progress, machine: options }: RunOptions,
): Promise<Row[]> {
  if (skipMachine) {
    return [{ name: "the search on the machine", ok: null, evidence: "left out by --skip-machine" }];
  }
  const defaults = { pollMs: 2000, onlineMs: 120_000, auditMs: 300_000, progress };
  return machineRows(target.instanceId, target.aws, { ...defaults, ...options });
}
