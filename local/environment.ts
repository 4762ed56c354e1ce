import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startEmulator } from "./aws/emulator";
import { prepareEngine } from "./engine";
import { buildImage } from "./image";
import { publishModel } from "./model";
import { createNetwork, deleteNetwork, type LocalNetwork } from "./network";
import { CACHE, ROOT, stateFolder } from "./paths";
import { endProcess, isAlive, startDetached } from "./process";
import { createWorkspace, type Workspace } from "./workspace";

const EMULATOR_PORT = 4566;
const PROXY_PORT = 3128;

/** Everything that one local environment consists of besides its stack; kept as environment.json. */
export interface Environment extends Workspace {
  name: string;
  state: string;
  network: LocalNetwork;
  emulatorPid: number;
  proxyPid: number;
}

/** A step of the preparation, for whoever shows progress. */
export interface Step {
  title: string;
  run: (onProgress: (line: string) => void) => Promise<string>;
}

/**
 * The steps that prepare an environment, in order. Each answers what it found or made, in a few words.
 * After the last one, {@link readEnvironment} answers the environment.
 */
export function preparation(name: string): Step[] {
  const state = stateFolder(name);
  const known: Partial<{ image: string; path: string; network: LocalNetwork; emulatorUrl: string; modelSha256: string }> = {};
  const pids: Partial<Pick<Environment, "emulatorPid" | "proxyPid">> = {};
  return [
    {
      title: "Pulumi's engine",
      run: async (onProgress) => {
        mkdirSync(state, { recursive: true, mode: 0o700 });
        const engine = await prepareEngine(join(state, "providers"), onProgress);
        known.path = engine.path;
        return engine.origin;
      },
    },
    {
      title: "The machine's image",
      run: async (onProgress) => {
        known.image = await buildImage(onProgress);
        return known.image;
      },
    },
    {
      title: "Network, AWS emulator and package proxy",
      run: async (onProgress) => {
        known.network = await createNetwork(name);
        const { hostAddress } = known.network;
        const emulator = await startEmulator({
          stateDir: state,
          host: hostAddress,
          port: EMULATOR_PORT,
          ami: "ami-0123456789abcdef0",
          onProgress,
        });
        known.emulatorUrl = emulator.url;
        pids.emulatorPid = emulator.pid;
        pids.proxyPid = startDetached(
          join(ROOT, "node_modules", ".bin", "tsx"),
          [join(ROOT, "local", "proxy.ts"), hostAddress, String(PROXY_PORT)],
          join(state, "proxy.log"),
        );
        return emulator.url;
      },
    },
    {
      title: "A tiny random Qwen3 of 2560 dimensions in the emulator's S3",
      run: async () => {
        known.modelSha256 = await publishModel(known.emulatorUrl!);
        const environment = assemble(name, state, known as Required<typeof known>, pids as Required<typeof pids>);
        writeFileSync(environmentPath(name), `${JSON.stringify(environment, null, 2)}\n`, { mode: 0o600 });
        return "s3://qwen3-local-models/tiny-qwen3";
      },
    },
  ];
}

function assemble(
  name: string,
  state: string,
  known: { image: string; path: string; network: LocalNetwork; emulatorUrl: string; modelSha256: string },
  pids: { emulatorPid: number; proxyPid: number },
): Environment {
  const workspace = createWorkspace(state, name, {
    configuration: "Pulumi.local.yaml",
    path: known.path,
    awsEndpointUrl: known.emulatorUrl,
    values: {
      awsEndpointUrl: known.emulatorUrl,
      httpsProxy: `http://${known.network.hostAddress}:${PROXY_PORT}`,
      modelSha256: known.modelSha256,
    },
  });
  const store = join(CACHE, "store");
  mkdirSync(store, { recursive: true });
  return {
    ...workspace,
    ...pids,
    name,
    state,
    network: known.network,
    env: {
      ...workspace.env,
      QWEN3_LOCAL_STATE: state,
      QWEN3_LOCAL_IMAGE: known.image,
      QWEN3_LOCAL_STORE: store,
      QWEN3_LOCAL_BRIDGE: known.network.bridge,
      QWEN3_LOCAL_SUBNET: known.network.subnet,
    },
  };
}

function environmentPath(name: string): string {
  return join(stateFolder(name), "environment.json");
}

/** The environment of that name, if one was prepared. */
export function readEnvironment(name: string): Environment | undefined {
  return existsSync(environmentPath(name))
    ? (JSON.parse(readFileSync(environmentPath(name), "utf8")) as Environment)
    : undefined;
}

/** Whether what the environment runs on still runs; after a reboot of the host it does not. */
export function isRunning(environment: Environment): boolean {
  return isAlive(environment.emulatorPid) && isAlive(environment.proxyPid);
}

/** Ends every process of the environment and removes all that it keeps. The cache stays. */
export async function removeEnvironment(environment: Environment): Promise<void> {
  Object.assign(process.env, environment.env);
  const { listInstances, terminateInstance } = await import("./sandbox");
  for (const { instanceId } of listInstances()) {
    await terminateInstance(instanceId);
  }
  await endProcess(environment.proxyPid);
  await endProcess(environment.emulatorPid);
  await deleteNetwork(environment.network.bridge);
  rmSync(environment.state, { recursive: true, force: true });
}

