import { execFile, spawn } from "node:child_process";
import { openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const execFileAsync = promisify(execFile);

/** Runs a program and returns its standard output. An error contains the end of the program's output. */
export async function run(
  file: string,
  args: string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv; timeoutMs?: number } = {},
): Promise<string> {
  try {
    const { stdout } = await execFileAsync(file, args, {
      ...options,
      timeout: options.timeoutMs,
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout;
  } catch (error) {
    const { stdout, stderr, message } = error as { stdout?: string; stderr?: string; message: string };
    const said = `${stdout ?? ""}${stderr ?? ""}`.trim().split("\n").slice(-15).join("\n");
    throw new Error(`${file} ${args[0] ?? ""} failed: ${said || message}`);
  }
}

/** Runs a program and passes each line of its output to `onLine`, for long steps that show progress. */
export async function runWithProgress(
  file: string,
  args: string[],
  onLine: (line: string) => void,
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<void> {
  const child = spawn(file, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  const last: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      for (const line of text.split("\n").filter((part) => part.trim() !== "")) {
        last.push(line);
        last.splice(0, last.length - 15);
        onLine(line.trim());
      }
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject).on("close", resolve);
  });
  if (code !== 0) {
    throw new Error(`${file} ${args[0] ?? ""} ended with ${code}:\n${last.join("\n")}`);
  }
}

/** Starts a program that outlives this one, with its output in `log`, and returns its process ID. */
export function startDetached(
  file: string,
  args: string[],
  log: string,
  env: NodeJS.ProcessEnv = process.env,
): number {
  const output = openSync(log, "a", 0o600);
  const child = spawn(file, args, { detached: true, stdio: ["ignore", output, output], env });
  child.on("error", () => undefined);
  child.unref();
  if (child.pid === undefined) {
    throw new Error(`${file} did not start`);
  }
  return child.pid;
}

/** Whether the process exists and has not ended. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** Ends a process that this project started: SIGTERM first, SIGKILL after `graceMs`. */
export async function endProcess(pid: number, graceMs = 10_000): Promise<void> {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    if (!isAlive(pid)) {
      return;
    }
    process.kill(pid, signal);
    await waitUntil(() => !isAlive(pid), graceMs).catch(() => undefined);
  }
}

/** Polls until `condition` holds. */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
  what = "the condition",
): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > end) {
      throw new Error(`timed out after ${timeoutMs / 1000} s while waiting for ${what}`);
    }
    await sleep(100);
  }
}
