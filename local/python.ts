import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CACHE } from "../scripts/lib/paths";
import { run, runWithProgress } from "./process";

/**
 * Makes a Python environment with exactly the packages of a lock file, once per content. Returns its executable.
 *
 * @param lock requirements with hashes, as pip's `--require-hashes` needs them
 */
export async function pythonWith(
  lock: string,
  onProgress: (line: string) => void = () => undefined,
): Promise<string> {
  const folder = folderOf(lock);
  if (!pythonIsThere(lock)) {
    await install(lock, folder, onProgress);
  }
  return join(folder, "bin", "python");
}

/** Whether {@link pythonWith} has nothing to install. */
export function pythonIsThere(lock: string): boolean {
  return existsSync(join(folderOf(lock), ".complete"));
}

function folderOf(lock: string): string {
  const id = createHash("sha256").update(readFileSync(lock)).digest("hex").slice(0, 16);
  return join(CACHE, "python", id);
}

/** A virtual environment cannot be moved, so the file `.complete` distinguishes a complete one from a partial one. */
async function install(lock: string, folder: string, onProgress: (line: string) => void): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await run(await systemPython(), ["-m", "venv", folder]);
  const pip = ["-m", "pip", "install", "--require-hashes", "--only-binary=:all:", "--no-input", "-r", lock];
  await runWithProgress(join(folder, "bin", "python"), pip, onProgress);
  writeFileSync(join(folder, ".complete"), "");
}

/** The system's own Python if it can create virtual environments, else the first one on PATH. */
async function systemPython(): Promise<string> {
  const system = "/usr/bin/python3";
  // Without Debian's package python3-venv, the module `venv` exists but `ensurepip`, which it needs, does not.
  return run(system, ["-c", "import ensurepip, venv"]).then(
    () => system,
    () => "python3",
  );
}
