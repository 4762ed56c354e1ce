import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Stack } from "@pulumi/pulumi/automation";
import { type Emulator, startEmulator } from "../../local/aws/emulator";
import { type Engine, prepareEngine } from "../../local/engine";
import { publishModel } from "../../local/model";
import { createWorkspace, openStack } from "../../local/workspace";
import { runProgram } from "../../scripts/lib/program";
import { freePort } from "../freePort";
import { type FaultyAws, startFaultyAws } from "./faultyAws";

/** The real engine, the unchanged program and an AWS emulator. Instances are recorded and not booted. */
export interface EngineEnvironment {
  stack: Stack;
  endpoint: string;
  /** Variables of the engine, also for another program next to this one. */
  env: Record<string, string>;
  /** Folder with Pulumi's state as files. */
  backend: string;
  /** The runs of Verification: one object of variables per run. */
  verifications: () => Record<string, string>[];
  /** The runs of the handover between two instances, in the same form. */
  handovers: () => Record<string, string>[];
  /** The runs of a fleet's rollout, likewise. */
  rollouts: () => Record<string, string>[];
  /** Whether verifications fail from now on. */
  failVerifications: (fail: boolean) => void;
  /** Whether handovers fail from now on. */
  failHandovers: (fail: boolean) => void;
  /** The proxy between the engine's providers and the emulator. */
  aws: FaultyAws;
  stop: () => Promise<void>;
}

/** The differences between environments. */
export interface Variant {
  /** File of the repository with the stack's configuration. */
  configuration: string;
  /** Additional settings. */
  values?: Record<string, string | number>;
  /** Whether the verification runs; by default it is recorded, because this layer has no instance to verify. */
  verifies?: boolean;
}

const LOCAL: Variant = { configuration: "Pulumi.local.yaml" };

export async function startEngineEnvironment(variant: Variant = LOCAL): Promise<EngineEnvironment> {
  const state = mkdtempSync(join(tmpdir(), "qwen3-engine-"));
  const engine = await prepareEngine(join(state, "providers"), () => undefined);
  const emulator = await startEmulator({
    stateDir: state,
    host: "127.0.0.1",
    port: await freePort(),
    ami: "ami-0123456789abcdef0",
  });
  const aws = await startFaultyAws(emulator.url);
  const stop = async () => {
    await aws.stop();
    await emulator.stop();
    rmSync(state, { recursive: true, force: true });
  };
  try {
    return { ...(await prepareStack(state, engine, emulator, aws, variant)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function prepareStack(
  state: string,
  engine: Engine,
  emulator: Emulator,
  aws: FaultyAws,
  { configuration, values, verifies = false }: Variant,
): Promise<Omit<EngineEnvironment, "stop">> {
  const modelSha256 = await publishModel(emulator.url);
  const record = join(state, "verifications");
  const node = recordingNode(state, record);
  const workspace = createWorkspace(state, "engine", {
    configuration,
    path: verifies ? engine.path : `${node}:${engine.path}`,
    awsEndpointUrl: aws.url,
    values: {
      awsEndpointUrl: aws.url,
      // The other environments use the published weights.
      ...(configuration === LOCAL.configuration && { modelSha256 }),
      ...values,
    },
  });
  Object.assign(workspace.env, {
    QWEN3_LOCAL_STATE: state,
    QWEN3_LOCAL_SUBNET: "10.213.250",
    QWEN3_LOCAL_MACHINES: "none",
  });
  Object.assign(process.env, workspace.env);
  const runs = () => readdirSync(record).map((file) => variables(readFileSync(join(record, file), "utf8")));
  const ran = (script: string) => runs().filter(({ ARGUMENTS }) => `${ARGUMENTS} `.includes(` ${script} `));
  const fail = (script: string, fails: boolean) =>
    fails
      ? writeFileSync(join(state, `fail-${script}`), "")
      : rmSync(join(state, `fail-${script}`), { force: true });
  return {
    stack: await openStack(workspace, runProgram),
    endpoint: emulator.url,
    env: workspace.env,
    aws,
    failVerifications: (fails) => fail("verify", fails),
    failHandovers: (fails) => fail("handover", fails),
    backend: join(state, "pulumi"),
    verifications: () => ran("verify"),
    handovers: () => ran("handover"),
    rollouts: () => ran("rollout"),
  };
}

/** Lines of `env -0`. */
function variables(text: string): Record<string, string> {
  return Object.fromEntries(
    text
      .split("\0")
      .filter(Boolean)
      .map((line) => {
        const at = line.indexOf("=");
        return [line.slice(0, at), line.slice(at + 1)];
      }),
  );
}

/** A folder with a `node` that records its arguments and environment. */
function recordingNode(state: string, record: string): string {
  const folder = join(state, "bin");
  mkdirSync(folder);
  mkdirSync(record);
  const node = join(folder, "node");
  writeFileSync(
    node,
    `#!/bin/sh\nARGUMENTS="$*" env -0 > "${record}/$$"
case " $* " in *" handover "*) script=handover ;; *" rollout "*) script=rollout ;; *) script=verify ;; esac
[ ! -e "${state}/fail-$script" ] && echo "$script passed"\n`,
  );
  chmodSync(node, 0o755);
  return folder;
}
