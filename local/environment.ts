import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { localEnvironmentFile, readLocalEnvironment, type Workspace } from "../scripts/lib/localEnvironment";
import { CACHE, ROOT, stateFolder } from "../scripts/lib/paths";
import { startEmulator } from "./aws/emulator";
import { notEnforced } from "./enforcement";
import { prepareEngine } from "./engine";
import { buildImage } from "./image";
import { publishModel } from "./model";
import { createNetwork, deleteNetwork, type LocalNetwork } from "./network";
import { endProcess, isAlive, startDetached } from "./process";
import { createWorkspace, pulumiHome, updateConfiguration } from "./workspace";

const EMULATOR_PORT = 4566;
const PROXY_PORT = 3128;

const CONFIGURATION = "Pulumi.local.yaml";

/** Settings that the environment sets itself, whatever the file has. Their values follow from its preparation. */
const OWN_SETTINGS = ["awsEndpointUrl", "httpsProxy", "modelSha256"] as const;

/** One local environment without its stack, stored as environment.json. */
export interface Environment extends Workspace {
  name: string;
  state: string;
  network: LocalNetwork;
  emulatorPid: number;
  proxyPid: number;
  /** Whether the preparation finished. */
  prepared: boolean;
  /** Whether AWS's own provider is used. Then no instance boots. */
  realProvider?: boolean;
}

/** A step of the preparation, with a title for the progress display. */
export interface Step {
  title: string;
  /** Only needed where instances boot. */
  boots?: boolean;
  run: (onProgress: (line: string) => void) => Promise<string>;
}

/**
 * The steps that prepare an environment, in order. Each returns a short summary of what it found or made.
 * After the last one, {@link readEnvironment} returns the environment.
 */
export function preparation(name: string, realProvider = false): Step[] {
  const state = stateFolder(name);
  const known = { image: "", path: "", emulatorUrl: "", enforcing: false };
  let environment: Environment;
  const steps: Step[] = [
    {
      title: "Pulumi's engine",
      run: async (onProgress) => {
        mkdirSync(state, { recursive: true, mode: 0o700 });
        const home = realProvider ? pulumiHome(state) : undefined;
        const engine = await prepareEngine(join(state, "providers"), onProgress, home);
        known.path = engine.path;
        return engine.origin;
      },
    },
    {
      title: "The image for instances",
      boots: true,
      run: async (onProgress) => {
        known.image = await buildImage(onProgress);
        return known.image;
      },
    },
    {
      title: "The units' IPAddressDeny and DevicePolicy",
      boots: true,
      run: async () => {
        const reason = await notEnforced(known.image);
        known.enforcing = reason === undefined;
        return known.enforcing ? "enforced" : `NOT ENFORCED in this environment: ${reason}`;
      },
    },
    {
      title: "Network, AWS emulator and package proxy",
      run: async (onProgress) => {
        const network = await createNetwork(name);
        const { hostAddress } = network;
        environment = { ...NOTHING, name, state, network, realProvider };
        // From here on processes run. Stopping the environment needs this file, whatever happens next.
        writeEnvironment(environment);
        const emulator = await startEmulator({
          stateDir: state,
          host: hostAddress,
          port: EMULATOR_PORT,
          ami: "ami-0123456789abcdef0",
          onProgress,
        });
        known.emulatorUrl = emulator.url;
        environment.emulatorPid = emulator.pid;
        environment.proxyPid = startDetached(
          join(ROOT, "node_modules", ".bin", "tsx"),
          [join(ROOT, "local", "proxy.ts"), hostAddress, String(PROXY_PORT)],
          join(state, "proxy.log"),
        );
        writeEnvironment(environment);
        return emulator.url;
      },
    },
    {
      title: "A tiny random Qwen3 model with 2560 dimensions, in the emulator's S3",
      run: async () => {
        const modelSha256 = await publishModel(known.emulatorUrl);
        writeEnvironment(assemble(environment, { ...known, modelSha256 }));
        return "s3://qwen3-local-models/tiny-qwen3";
      },
    },
  ];
  return steps.filter(({ boots }) => !boots || !realProvider);
}

/** The state before anything runs; no process has the ID 0. */
const NOTHING = { stackName: "", workDir: "", env: {}, emulatorPid: 0, proxyPid: 0, prepared: false };

function assemble(
  environment: Environment,
  known: { image: string; path: string; emulatorUrl: string; enforcing: boolean; modelSha256: string },
): Environment {
  const { name, state, network } = environment;
  const values: Record<(typeof OWN_SETTINGS)[number], string> = {
    awsEndpointUrl: known.emulatorUrl,
    httpsProxy: `http://${network.hostAddress}:${PROXY_PORT}`,
    modelSha256: known.modelSha256,
  };
  const workspace = createWorkspace(state, name, {
    configuration: CONFIGURATION,
    path: known.path,
    awsEndpointUrl: known.emulatorUrl,
    values,
  });
  const store = join(CACHE, "store");
  mkdirSync(store, { recursive: true });
  return {
    ...environment,
    ...workspace,
    prepared: true,
    env: {
      ...workspace.env,
      QWEN3_LOCAL_STATE: state,
      QWEN3_LOCAL_IMAGE: known.image,
      QWEN3_LOCAL_STORE: store,
      QWEN3_LOCAL_BRIDGE: network.bridge,
      QWEN3_LOCAL_SUBNET: network.subnet,
      QWEN3_LOCAL_ENFORCING: known.enforcing ? "yes" : "no",
    },
  };
}

/** Applies edits of Pulumi.local.yaml to a prepared environment. Returns the names of the settings that changed. */
export function updateSettings(environment: Environment): string[] {
  return updateConfiguration(environment, CONFIGURATION, OWN_SETTINGS);
}

/** The environment of that name, or undefined if there is none. */
export function readEnvironment(name: string): Environment | undefined {
  return readLocalEnvironment(name) as Environment | undefined;
}

function writeEnvironment(environment: Environment): void {
  writeFileSync(localEnvironmentFile(environment.name), `${JSON.stringify(environment, null, 2)}\n`, {
    mode: 0o600,
  });
}

/** Whether the environment was prepared and its processes still run. After a reboot of the host they do not. */
export function isUsable(environment: Environment): boolean {
  return environment.prepared && isAlive(environment.emulatorPid) && isAlive(environment.proxyPid);
}

/** Ends every process of the environment and removes its files. The cache is kept. */
export async function removeEnvironment(environment: Environment): Promise<void> {
  if (environment.prepared) {
    Object.assign(process.env, environment.env);
    const { listInstances, terminateInstance } = await import("./container");
    for (const { instanceId } of listInstances()) {
      await terminateInstance(instanceId);
    }
  }
  for (const pid of [environment.proxyPid, environment.emulatorPid].filter((each) => each > 0)) {
    await endProcess(pid);
  }
  await deleteNetwork(environment.network.bridge);
  rmSync(environment.state, { recursive: true, force: true });
}
