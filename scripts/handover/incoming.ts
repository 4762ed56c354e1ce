import { setTimeout as sleep } from "node:timers/promises";
import { PATHS } from "../../components/bundle/contract";
import { type RemoteResult, runOnInstance } from "../lib/systemsManager";
import { describeError, excerpt } from "../lib/text";
import { reportedRows } from "../verify/instance";
import type { Row } from "../verify/row";
import type { Instances } from "./instances";
import type { Job } from "./job";

/** How fast a handover goes; a test goes faster. */
export interface Pace {
  /** Between two looks at an instance that is not ready. */
  lookMs: number;
  /** Between two looks at the result of a command. */
  pollMs: number;
  /** How long other checks may fail on an instance whose workers serve. */
  settleMs: number;
}

/** The row of qwen3-check on which all depends. */
const WORKERS = /^every worker /;
const CHECK = "qwen3-check --json --wait 60";
/** Until the bundle is installed, there is no qwen3-check: the last line of the installation in its place. */
const LOOK =
  `[ -e ${PATHS.installed} ] && exec ${PATHS.programs}/${CHECK}; ` +
  "journalctl --namespace='*' -u qwen3-bootstrap -u cloud-final -n 1 -o cat --no-pager; exit 75";
const JOURNAL =
  "cloud-init status --long 2>/dev/null | head -n 20; systemctl --failed --no-legend; " +
  "journalctl --namespace='*' -u 'qwen3-*' -u nginx -p warning -n 30 -o short --no-pager; " +
  "journalctl --namespace='*' -u qwen3-bootstrap -u qwen3-model -n 10 -o short --no-pager";

/** The checks wait up to a minute for a worker, and search the instance for keys. */
const LOOK_MS = 300_000;

/** What a look at the instance has found. */
interface Look {
  state: string;
  /** Whether everything is as it should be. */
  well: boolean;
  /** Whether the workers serve, so that what fails does not pass by itself. */
  serves: boolean;
}

/** The deployer may not do what the handover needs. That is no fault of the instance. */
export class NotAllowed extends Error {}

const NOT_ALLOWED = /AccessDenied|UnauthorizedOperation|ExpiredToken|UnrecognizedClient|CredentialsProvider/;
const ALIVE = new Set(["pending", "running"]);

/** @throws NotAllowed in place of an error that says so */
export function checkAllowed(error: Error): void {
  if (NOT_ALLOWED.test(error.name)) {
    throw new NotAllowed(describeError(error));
  }
}

/**
 * Waits until every check passes on the new instance.
 *
 * @throws Error with the last state if that is not so in time, if a check fails although the workers serve, or if the
 * instance does not run any more; NotAllowed
 */
export async function waitUntilWell(
  job: Job,
  instances: Instances,
  pace: Pace,
  progress: (line: string) => void,
): Promise<void> {
  const begin = Date.now();
  const deadline = begin + job.timeoutSeconds * 1000;
  let told = "";
  let servesSince: number | undefined;
  for (;;) {
    const { name } = await instances.state(job.instanceId);
    if (!ALIVE.has(name)) {
      throw new Error(`${job.instanceId} is ${name} and never served`);
    }
    const { state, well, serves } = await look(job, pace);
    const elapsed = Math.round((Date.now() - begin) / 1000);
    if (well) {
      progress(`${job.instanceId} passes its ${state} after ${elapsed} s`);
      return;
    }
    servesSince = serves ? (servesSince ?? Date.now()) : undefined;
    if (servesSince !== undefined && Date.now() - servesSince > pace.settleMs) {
      throw new Error(`${job.instanceId} serves, but fails its checks: ${state}`);
    }
    if (Date.now() + pace.lookMs > deadline) {
      throw new Error(`${job.instanceId} does not serve after ${job.timeoutSeconds} s: ${state}`);
    }
    if (state !== told) {
      progress(`waiting for ${job.instanceId}, ${elapsed} s: ${state}`);
      told = state;
    }
    await sleep(pace.lookMs);
  }
}

/** Lines of the instance's journals that say why it does not serve. */
export async function journal(job: Job, pace: Pace): Promise<string> {
  try {
    const { stdout } = await command(job, pace, JOURNAL, 60_000);
    return stdout.trim() || "its journals have no warning";
  } catch (error) {
    return `its journals cannot be read: ${describeError(error)}`;
  }
}

async function look(job: Job, pace: Pace): Promise<Look> {
  try {
    const result = await command(job, pace, LOOK, LOOK_MS);
    return result.stdout.trimStart().startsWith("{")
      ? judge(reportedRows(CHECK, result))
      : {
          state: `installing: ${excerpt(result.stdout) || "the boot has begun"}`,
          well: false,
          serves: false,
        };
  } catch (error) {
    checkAllowed(error as Error);
    const offline = (error as Error).name === "InvalidInstanceId";
    const state = offline ? "its Systems Manager agent is not online yet" : describeError(error);
    return { state, well: false, serves: false };
  }
}

function judge(rows: Row[]): Look {
  const failed = rows.filter(({ ok }) => ok === false);
  return {
    state:
      failed.length === 0
        ? `${rows.length} checks`
        : failed.map(({ name, evidence }) => `${name}: ${excerpt(evidence)}`).join("; "),
    well: failed.length === 0,
    serves: rows.some(({ name, ok }) => WORKERS.test(name) && ok === true),
  };
}

function command(job: Job, { pollMs }: Pace, line: string, timeoutMs: number): Promise<RemoteResult> {
  const comment = "pulumi up: a new instance";
  return runOnInstance(job.aws, { instanceId: job.instanceId, line, comment, timeoutMs, pollMs });
}
