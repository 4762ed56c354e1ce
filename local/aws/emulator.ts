import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { endProcess, isAlive, startDetached, waitUntil } from "../process";
import { pythonWith } from "../python";

export interface EmulatorOptions {
  /** Folder for emulator.json, the log and the host's token. */
  stateDir: string;
  /** IPv4 address to listen on. */
  host: string;
  port: number;
  /** Image ID that AWS's public AMI parameters return. */
  ami: string;
  /** Receives the progress of the installation, which takes half a minute once. */
  onProgress?: (line: string) => void;
}

export interface Emulator {
  url: string;
  pid: number;
  stop: () => Promise<void>;
}

/** Starts the AWS emulator as a process that outlives this one. Returns once it listens. */
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
    await waitUntil(() => existsSync(announcement) || !isAlive(pid), 60_000, "the AWS emulator to listen");
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

/** A Python interpreter with exactly the packages of requirements.lock. */
export function emulatorPython(onProgress: (line: string) => void = () => undefined): Promise<string> {
  return pythonWith(join(__dirname, "requirements.lock"), onProgress);
}
