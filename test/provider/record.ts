import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { prepareEngine } from "../../local/engine";
import { createWorkspace, openStack } from "../../local/workspace";
import { ROOT } from "../../scripts/lib/paths";
import { runProgram } from "../../scripts/lib/program";
import type { Given } from "./emulator";
import type { Recorded, RecordedLookup, RecordedResource } from "./recorded";

const PROVIDERS = ["aws", "command", "random", "tls"];

/** Everything that the program of one environment requests from its providers. */
export interface Recording {
  resources: Resource[];
  lookups: RecordedLookup[];
}

export interface Resource extends RecordedResource {
  /** URNs of the resources that it refers to or depends on. */
  dependencies: string[];
  /** Pulumi's names of properties whose changes are ignored. */
  ignoreChanges: string[];
}

/** A stack's configuration, as in Pulumi.STACK.yaml. */
export interface Environment {
  /** File of the repository. */
  configuration: string;
  /** Additional settings. */
  values?: Record<string, unknown>;
  /** Name of the stack, with which names of resources begin. */
  stack: string;
}

/**
 * Runs the unchanged program through the real engine with providers that record and create nothing.
 *
 * @param schema file with the AWS provider's schema
 * @param given results of look-ups that determine what the program creates
 */
export async function record(environment: Environment, schema: string, given: Given): Promise<Recording> {
  const state = mkdtempSync(join(tmpdir(), "qwen3-record-"));
  const path = join(state, "record");
  try {
    const engine = await prepareEngine(join(state, "providers"), () => undefined);
    const workspace = createWorkspace(state, environment.stack, {
      configuration: environment.configuration,
      values: environment.values ?? {},
      path: `${recorders(state)}:${engine.path}`,
      awsEndpointUrl: "",
    });
    Object.assign(workspace.env, {
      QWEN3_SCHEMA: schema,
      QWEN3_RECORD: path,
      QWEN3_GIVEN: JSON.stringify(given),
    });
    const stack = await openStack(workspace, runProgram);
    await stack.up();
    const { deployment } = await stack.workspace.exportStack(stack.name);
    return combine(readRecord(path), (deployment as { resources: StateResource[] }).resources);
  } finally {
    rmSync(state, { recursive: true, force: true });
  }
}

/** A folder for PATH with one recorder per provider. */
function recorders(state: string): string {
  const folder = join(state, "recorders");
  mkdirSync(folder);
  const modules = join(ROOT, "node_modules");
  for (const name of PROVIDERS) {
    const script = join(folder, `pulumi-resource-${name}`);
    writeFileSync(
      script,
      `#!/bin/sh\nexec "${modules}/.bin/node" --import "${modules}/tsx/dist/loader.mjs" "${join(__dirname, "recorder.ts")}" ${name} "$@"\n`,
    );
    chmodSync(script, 0o755);
  }
  return folder;
}

function readRecord(path: string): Recorded[] {
  const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];
  return lines.map((line) => JSON.parse(line) as Recorded);
}

interface StateResource {
  urn: string;
  custom: boolean;
  dependencies?: string[];
  ignoreChanges?: string[];
}

/** Dependencies are from the engine, which has replaced components by their children. */
function combine(recorded: Recorded[], state: StateResource[]): Recording {
  const known = new Map(state.map((resource) => [resource.urn, resource]));
  const lookups = recorded.filter((line) => line.kind === "lookup");
  return {
    resources: recorded
      .filter((line) => line.kind === "resource")
      .map((resource) => ({
        ...resource,
        dependencies: known.get(resource.urn)?.dependencies ?? [],
        ignoreChanges: known.get(resource.urn)?.ignoreChanges ?? [],
      })),
    lookups: [...new Map(lookups.map((lookup) => [`${lookup.type}.${lookup.name}`, lookup])).values()],
  };
}
