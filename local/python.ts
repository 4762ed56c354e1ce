import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CACHE } from "../scripts/lib/paths";
import { run, runWithProgress } from "./process";

/**
 * A Python with exactly what a lock file pins, made once for each content of that file; returns its executable.
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

/** A virtual environment cannot be moved, so a half-made one is recognised by what it lacks: `.complete`. */
async function install(lock: string, folder: string, onProgress: (line: string) => void): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await run(await systemPython(), ["-m", "venv", folder]);
  const pip = ["-m", "pip", "install", "--require-hashes", "--only-binary=:all:", "--no-input", "-r", lock];
  await runWithProgress(join(folder, "bin", "python"), pip, onProgress);
  writeFileSync(join(folder, ".complete"), "");
}

/** The system's own Python where it can make environments, else the first one on PATH. */
async function systemPython(): Promise<string> {
  const system = "/usr/bin/python3";
  // Without Debian's package python3-venv there is a module `venv`, and no `ensurepip` that it needs.
  return run(system, ["-c", "import ensurepip, venv"]).then(
    () => system,
    () => "python3",
  );
}
