import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { emulatorPython } from "../../local/aws/emulator";
import { endProcess, isAlive, startDetached, waitUntil } from "../../local/process";

/** An AWS account in memory: moto, with what AWS's provider asks of it for this stack. */
export interface ProviderEmulator {
  url: string;
  /** What there is, by service and collection: names, IDs or ARNs. */
  census: () => Promise<Record<string, string[]>>;
  stop: () => Promise<void>;
}

export async function startProviderEmulator(): Promise<ProviderEmulator> {
  const python = await emulatorPython();
  const state = mkdtempSync(join(tmpdir(), "qwen3-moto-"));
  const port = join(state, "port");
  const log = join(state, "log");
  const pid = startDetached(python, [join(__dirname, "emulator.py"), port], log);
  const stop = async () => {
    await endProcess(pid);
    rmSync(state, { recursive: true, force: true });
  };
  await waitUntil(() => existsSync(port) || !isAlive(pid), 60_000, "the emulator's port");
  if (!existsSync(port)) {
    const said = readFileSync(log, "utf8").slice(-2000);
    await stop();
    throw new Error(`the emulator ended:\n${said}`);
  }
  const url = `http://127.0.0.1:${readFileSync(port, "utf8")}`;
  return {
    url,
    census: async () => (await fetch(`${url}/_census`)).json() as Promise<Record<string, string[]>>,
    stop,
  };
}

/** What is in one census and not in another. */
export function added(
  before: Record<string, string[]>,
  after: Record<string, string[]>,
): Record<string, string[]> {
  const more = Object.entries(after).map(([name, entries]) => [
    name,
    entries.filter((entry) => !before[name]?.includes(entry)),
  ]);
  return Object.fromEntries(more.filter(([, entries]) => entries!.length > 0));
}
