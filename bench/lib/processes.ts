import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { unsupported } from "../../local/preflight";

/** On the first start, a GPU's kernels are compiled. */
const START_SECONDS = 900;
/** USER_HZ of Linux on every supported architecture. */
const TICKS_PER_SECOND = 100;

/**
 * Runs a benchmark that starts programs, with a folder for it. Both are removed when it ends, also on a signal.
 *
 * @throws Error if this computer cannot run it
 */
export async function withProcesses<T>(
  measure: (processes: Processes, folder: string) => Promise<T>,
): Promise<T> {
  const reason = unsupported();
  if (reason) {
    throw new Error(reason);
  }
  const folder = mkdtempSync(join(tmpdir(), "qwen3-bench-"));
  const processes = new Processes(folder);
  const clean = async () => {
    await processes.end();
    rmSync(folder, { recursive: true, force: true });
  };
  const stop = () => clean().finally(() => process.exit(130));
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    return await measure(processes, folder);
  } finally {
    await clean();
  }
}

/** The programs of one measurement, each a process group with its log in `folder`. */
export class Processes {
  readonly #started: { name: string; log: string; child: ChildProcess }[] = [];

  constructor(private readonly folder: string) {}

  start(name: string, file: string, args: string[], env: NodeJS.ProcessEnv): void {
    const log = join(this.folder, `${name}.log`);
    const output = openSync(log, "a", 0o600);
    const child = spawn(file, args, { env, detached: true, stdio: ["ignore", output, output] });
    child.on("error", () => undefined);
    this.#started.push({ name, log, child });
  }

  /**
   * Waits until a program replies.
   *
   * @param any whether any reply is sufficient, not only a successful one
   * @throws Error with the end of its log if a program ends before it replies, or does not reply in time
   */
  async untilReplying(name: string, url: string, any = false): Promise<void> {
    const { child, log } = this.#started.find((each) => each.name === name)!;
    const deadline = Date.now() + START_SECONDS * 1000;
    const replies = () =>
      fetch(url).then(
        ({ ok }) => ok || any,
        () => false,
      );
    while (!(await replies())) {
      if (ended(child) || Date.now() > deadline) {
        throw new Error(`${name} did not start:\n${readFileSync(log, "utf8").slice(-2000)}`);
      }
      await sleep(500);
    }
  }

  /** Processor time of these programs and all their children, so far. */
  cpuSeconds(names: readonly string[]): number {
    const groups = new Set(
      this.#started.filter(({ name }) => names.includes(name)).map(({ child }) => child.pid),
    );
    return readdirSync("/proc")
      .filter((entry) => /^\d+$/.test(entry))
      .map(readTimes)
      .filter((times) => groups.has(times?.group))
      .reduce((sum, times) => sum + (times?.seconds ?? 0), 0);
  }

  /** Ends every group: SIGTERM, then SIGKILL for processes that are left after ten seconds. */
  async end(): Promise<void> {
    await Promise.all(
      this.#started.map(async ({ child }) => {
        if (child.pid === undefined) {
          return;
        }
        const exit = ended(child) ? undefined : once(child, "exit");
        signal(child.pid, "SIGTERM");
        await Promise.race([exit, sleep(10_000)]);
        // Its children may outlive it.
        signal(child.pid, "SIGKILL");
        await exit;
      }),
    );
  }
}

/** A process's group, and its user and system time. proc(5), /proc/PID/stat. */
function readTimes(pid: string): { group: number; seconds: number } | undefined {
  try {
    // The name, in parentheses, may contain anything.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
    return {
      group: Number(fields[2]),
      seconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    };
  } catch {
    return undefined;
  }
}

/** Also true if it never started. */
function ended({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid === undefined || exitCode !== null || signalCode !== null;
}

function signal(group: number, name: NodeJS.Signals): void {
  try {
    process.kill(-group, name);
  } catch {
    // It has ended.
  }
}
