import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { emulatorPython } from "../../local/aws/emulator";
import { endProcess, isAlive, startDetached, waitUntil } from "../../local/process";

/** An AWS account in memory: moto, with what the AWS provider needs for this stack. */
export interface ProviderEmulator {
  url: string;
  /** Existing resources, by service and collection: names, IDs or ARNs. */
  census: () => Promise<Record<string, string[]>>;
  /** Resources of the account before the stack is deployed. */
  given: Given;
  /** What the deployer requested. */
  used: () => Promise<Used>;
  stop: () => Promise<void>;
}

/** A hosted zone, and an existing VPC. */
export interface Given {
  region: string;
  vpcId: string;
  cidrBlock: string;
  /** IDs by zone. */
  subnets: Record<string, string>;
  routeTableId: string;
  /** Of the Route 53 zone. */
  domain: string;
}

export interface Used {
  /** Actions by IAM's names. */
  used: string[];
  /** By statement: an action that no other statement of the policy grants. */
  needed: Record<string, string>;
  /** Action and resource of requests that the policy does not grant. */
  refused: string[];
}

/** Credentials that have the permissions of the policy, as in authorisation.py. */
export const DEPLOYER = { accessKeyId: "AKIALOCALDEPLOYER0000", secretAccessKey: "local" };

/** @param policy file with the deployer's permissions; everything is allowed by default */
export async function startProviderEmulator(policy?: string): Promise<ProviderEmulator> {
  const python = await emulatorPython();
  const state = mkdtempSync(join(tmpdir(), "qwen3-moto-"));
  const port = join(state, "port");
  const log = join(state, "log");
  const pid = startDetached(python, [join(__dirname, "emulator.py"), port, ...(policy ? [policy] : [])], log);
  const stop = async () => {
    await endProcess(pid);
    rmSync(state, { recursive: true, force: true });
  };
  await waitUntil(() => existsSync(port) || !isAlive(pid), 60_000, "the emulator to listen");
  if (!existsSync(port)) {
    const said = readFileSync(log, "utf8").slice(-2000);
    await stop();
    throw new Error(`the emulator ended:\n${said}`);
  }
  const url = `http://127.0.0.1:${readFileSync(port, "utf8")}`;
  const ask = async <T>(what: string) => (await fetch(`${url}/${what}`)).json() as Promise<T>;
  return {
    url,
    census: () => ask("_census"),
    used: () => ask("_used"),
    given: await ask("_given"),
    stop,
  };
}

/** The entries of one census that are not in another. */
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
