import { EndpointClient } from "./client";
import { embeddingChecks } from "./embeddingChecks";
import { type Fleet, waitForFleet } from "./fleet";
import { INSTANCE, type InstanceOptions, instanceRows } from "./instance";
import { keyChecks } from "./keyChecks";
import { requestChecks } from "./requestChecks";
import { routeChecks } from "./routeChecks";
import { type Check, type FailOn, type Row, runCheck, withWarning } from "./row";
import type { Target } from "./target";
import { textChecks } from "./textChecks";
import { type TransportOptions, transportChecks } from "./transportChecks";
import { FLEET_AGREES_MS, KEY_WAIT_MS, waitForHealth, waitForKey } from "./wait";
import { workerChecks } from "./workerChecks";

/** The row that replaces all others if the endpoint does not become ready. */
export const READY = "the endpoint is ready";

/** Replacing a fleet may take this many times as long as one instance. */
const INSTANCES_IN_TURN = 4;
/** A change of keys alone starts no instance, and a key may have to be revoked once it is verified. */
const KEYS_ALONE_SECONDS = 120;
/** For workers that load the model while others serve already. */
const WORKERS_SECONDS = 240;

export interface RunOptions extends TransportOptions {
  skipMachine: boolean;
  /** Which failed rows fail the run; all by default. The others become warnings, and nothing waits for them. */
  failOn?: FailOn;
  progress(line: string): void;
  pollMs?: number;
  keyWaitMs?: number;
  fleetPollMs?: number;
  instance?: Partial<InstanceOptions>;
}

/** Waits until the endpoint is ready, then checks it and its instances. */
export async function verify(target: Target, key: string, options: RunOptions): Promise<Row[]> {
  const { failOn = "all" } = options;
  const timeoutSeconds =
    failOn === "keys" ? Math.min(KEYS_ALONE_SECONDS, target.timeoutSeconds) : target.timeoutSeconds;
  const rows = await allRows({ ...target, timeoutSeconds }, key, options);
  return rows.map((row) => withWarning(row, failOn));
}

/** The checks that need no instance, in the order of their rows. */
export function outsideChecks(client: EndpointClient, target: Target, options?: TransportOptions): Check[] {
  return [
    ...keyChecks(client, target),
    ...routeChecks(client, target),
    ...requestChecks(client, target),
    ...embeddingChecks(client, target),
    ...textChecks(client, target),
    ...workerChecks(client, target),
    ...transportChecks(target, options),
  ];
}

async function allRows(target: Target, key: string, options: RunOptions): Promise<Row[]> {
  const { progress, pollMs = 2000, keyWaitMs = KEY_WAIT_MS } = options;
  const client = new EndpointClient(target.endpoint, target.caCertificate || options.publicRoots, key);
  try {
    const wait = { pollMs, progress, timeoutMs: target.timeoutSeconds * 1000 };
    const health = await waitForHealth(client, wait);
    const readiness = readinessRow(health, target);
    if (!health.ready) {
      return [readiness];
    }
    const settledMs = target.autoScalingGroup ? FLEET_AGREES_MS : 0;
    await waitForKey(client, { ...wait, timeoutMs: keyWaitMs }, settledMs);
    const fleet = await waitForInstances(target, options);
    const [outside, inside] = await Promise.all([
      inTurn(outsideChecks(client, target, options)),
      checkInstances(target, fleet, options),
    ]);
    return [readiness, ...(fleet ? [fleet.row] : []), ...outside, ...inside];
  } finally {
    await client.close();
  }
}

/** One after another, because some measure how fast the endpoint is. */
async function inTurn(checks: Check[]): Promise<Row[]> {
  const rows: Row[] = [];
  for (const check of checks) {
    rows.push(await runCheck(check));
  }
  return rows;
}

function readinessRow(health: { ready: boolean; seconds: number; state: string }, target: Target): Row {
  return health.ready
    ? { name: READY, about: "keys", ok: true, evidence: `after ${health.seconds} s` }
    : {
        name: READY,
        about: "keys",
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
  { progress, failOn, fleetPollMs: pollMs = 10_000 }: RunOptions,
): Promise<Fleet> | undefined {
  const timeoutMs = failOn === "keys" ? 0 : timeoutSeconds * 1000 * INSTANCES_IN_TURN;
  return autoScalingGroup === undefined
    ? undefined
    : waitForFleet(autoScalingGroup, aws, { progress, pollMs, timeoutMs });
}

async function checkInstances(
  { instanceId, aws }: Target,
  fleet: Fleet | undefined,
  { skipMachine, failOn, progress, instance: options }: RunOptions,
): Promise<Row[]> {
  if (skipMachine) {
    return [{ name: INSTANCE, about: "keys", ok: null, evidence: "skipped by --skip-machine" }];
  }
  const all = {
    ...{ pollMs: 2000, onlineMs: 120_000, checkMs: 600_000, progress },
    ...{ waitSeconds: failOn === "keys" ? 0 : WORKERS_SECONDS },
    ...options,
  };
  if (!fleet) {
    return instanceRows(instanceId!, aws, all);
  }
  const checked = await Promise.all(
    fleet.instances.map(async (id) => {
      const rows = await instanceRows(id, aws, all);
      return rows.map((row) => ({ ...row, name: `${row.name}, ${id}` }));
    }),
  );
  return checked.flat();
}
