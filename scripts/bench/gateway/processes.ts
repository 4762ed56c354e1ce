import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const START_SECONDS = 300;

/** Programs that belong to one measurement, each a process group with its log in `folder`. */
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

  /** @throws with the end of its log when a program ends before it answers, or does not within five minutes */
  async untilAnswering(name: string, url: string): Promise<void> {
    const { child, log } = this.#started.find((each) => each.name === name)!;
    const deadline = Date.now() + START_SECONDS * 1000;
    const answers = () =>
      fetch(url).then(
        ({ ok }) => ok,
        () => false,
      );
    while (!(await answers())) {
      if (child.exitCode !== null || child.pid === undefined || Date.now() > deadline) {
        throw new Error(`${name} did not start:\n${readFileSync(log, "utf8").slice(-2000)}`);
      }
      await sleep(500);
    }
  }

  /** Ends every group: SIGTERM, then SIGKILL for what is left after ten seconds. */
  async end(): Promise<void> {
    await Promise.all(
      this.#started.map(async ({ child }) => {
        if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) {
          return;
        }
        const ended = once(child, "exit");
        signal(child.pid, "SIGTERM");
        await Promise.race([ended, sleep(10_000)]);
        // SGLang's processes outlive their parent for a moment.
        signal(child.pid, "SIGKILL");
        await ended;
      }),
    );
  }
}

function signal(group: number, name: NodeJS.Signals): void {
  try {
    process.kill(-group, name);
  } catch {
    // It has ended.
  }
}
