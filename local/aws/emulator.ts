import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CACHE } from "../paths";
import { endProcess, isAlive, run, runWithProgress, startDetached, waitUntil } from "../process";

export interface EmulatorOptions {
  /** Folder for emulator.json, the log and the host's token. */
  stateDir: string;
  /** IPv4 address to listen on. */
  host: string;
  port: number;
  /** Image ID that AWS's public AMI parameters answer. */
  ami: string;
  /** Lines of the installation, which takes half a minute once. */
  onProgress?: (line: string) => void;
}

export interface Emulator {
  url: string;
  pid: number;
  stop: () => Promise<void>;
}

/** Starts the AWS emulator as a process that outlives this one; answers once it listens. */
export async function startEmulator(options: EmulatorOptions): Promise<Emulator> {
  const python = await emulatorPython(options.onProgress);
  const announcement = join(options.stateDir, "emulator.json");
  const output = join(options.stateDir, "emulator.out");
  rmSync(announcement, { force: true });
  const pid = startDetached(
    python,
    [
      ...[join(__dirname, "emulator.py"), "--state", options.stateDir],
      ...["--host", options.host, "--port", String(options.port), "--ami", options.ami],
    ],
    output,
  );
  try {
    await waitUntil(
      () => existsSync(announcement) || !isAlive(pid),
      60_000,
      "the AWS emulator's announcement",
    );
    if (!existsSync(announcement)) {
      throw new Error(`the AWS emulator ended:\n${readFileSync(output, "utf8").slice(-2000)}`);
    }
  } catch (error) {
    await endProcess(pid);
    throw error;
  }
  const { url } = JSON.parse(readFileSync(announcement, "utf8")) as { url: string };
  return { url, pid, stop: () => endProcess(pid) };
}

/** A Python with exactly what requirements.lock pins, made once for each content of that file. */
export async function emulatorPython(onProgress: (line: string) => void = () => undefined): Promise<string> {
  const lock = join(__dirname, "requirements.lock");
  const id = createHash("sha256").update(readFileSync(lock)).digest("hex").slice(0, 16);
  const folder = join(CACHE, "python", id);
  if (!existsSync(join(folder, ".complete"))) {
    await install(lock, folder, onProgress);
  }
  return join(folder, "bin", "python");
}

/** A virtual environment cannot be moved, so a half-made one is recognised by what it lacks: `.complete`. */
async function install(lock: string, folder: string, onProgress: (line: string) => void): Promise<void> {
  onProgress("installing the AWS emulator");
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
