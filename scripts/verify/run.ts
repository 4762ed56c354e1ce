import { authChecks } from "./authChecks";
import { EndpointClient } from "./client";
import { embeddingChecks } from "./embeddingChecks";
import { type Fleet, waitForFleet } from "./fleet";
import { type InstanceOptions, instanceRows } from "./instance";
import { type Row, runCheck } from "./row";
import type { Target } from "./target";
import { type TransportOptions, transportChecks } from "./transportChecks";
import { KEY_WAIT_MS, waitForHealth, waitForKey } from "./wait";

/** Replacing a fleet may take this many times as long as one instance. */
const INSTANCES_IN_TURN = 4;

export interface RunOptions extends TransportOptions {
  skipMachine: boolean;
  progress(line: string): void;
  pollMs?: number;
  keyWaitMs?: number;
  fleetPollMs?: number;
  instance?: Partial<InstanceOptions>;
}

/** Waits until the endpoint is ready, then checks it and its instances. */
export async function verify(target: Target, key: string, options: RunOptions): Promise<Row[]> {
  const { progress, pollMs = 2000, keyWaitMs = KEY_WAIT_MS } = options;
  const client = new EndpointClient(target.endpoint, target.caCertificate || options.publicRoots, key);
  try {
    const wait = { pollMs, progress, timeoutMs: target.timeoutSeconds * 1000 };
    const health = await waitForHealth(client, wait);
    const readiness = readinessRow(health, target);
    if (!health.ready) {
      return [readiness];
    }
    await waitForKey(client, { ...wait, timeoutMs: keyWaitMs });
    const checks = [
      ...authChecks(client, target),
      ...embeddingChecks(client, target),
      ...transportChecks(target, options),
    ];
    const fleet = await waitForInstances(target, options);
    const rows = [readiness, ...(fleet ? [fleet.row] : [])];
    for (const check of checks) {
      rows.push(await runCheck(check));
    }
    return rows.concat(await searchInstances(target, fleet, options));
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
          `check how far the boot has progressed: aws ssm start-session --target ${target.instanceId ?? "INSTANCE"} --region ` +
          `${target.aws.region}, then cloud-init status --long and journalctl --namespace='*' -u 'qwen3-*'${
            target.autoScalingGroup
              ? `; the instances: aws autoscaling describe-scaling-activities --auto-scaling-group-name ${target.autoScalingGroup}`
              : ""
          }`,
      };
}

/** Only for a fleet. Instances are replaced one after another, so the time limit of one is not that of all. */
function waitForInstances(
  { autoScalingGroup, aws, timeoutSeconds }: Target,
  { progress, fleetPollMs: pollMs = 10_000 }: RunOptions,
): Promise<Fleet> | undefined {
  const timeoutMs = timeoutSeconds * 1000 * INSTANCES_IN_TURN;
  return autoScalingGroup === undefined
    ? undefined
    : waitForFleet(autoScalingGroup, aws, { progress, pollMs, timeoutMs });
}

async function searchInstances(
  { instanceId, aws }: Target,
  fleet: Fleet | undefined,
  { skipMachine, progress, instance: options }: RunOptions,
): Promise<Row[]> {
  if (skipMachine) {
    return [{ name: "the search on the instance", ok: null, evidence: "skipped by --skip-machine" }];
  }
  const all = { pollMs: 2000, onlineMs: 120_000, auditMs: 300_000, progress, ...options };
  if (!fleet) {
    return instanceRows(instanceId!, aws, all);
  }
  const searched = await Promise.all(
    fleet.instances.map(async (id) => {
      const rows = await instanceRows(id, aws, all);
      return rows.map((row) => ({ ...row, name: `${row.name}, ${id}` }));
    }),
  );
  return searched.flat();
}
