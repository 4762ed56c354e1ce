import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { parse, stringify } from "yaml";
import { startEnvironment } from "../../local/start";
import { updateConfiguration } from "../../local/workspace";
import { Context } from "../../scripts/lib/commandLine";
import type { Workspace } from "../../scripts/lib/localEnvironment";
import { ROOT } from "../../scripts/lib/paths";

/** `npm start` where an environment is running: everything but the settings is there, and nothing is deployed. */
vi.mock("../../local/preflight", async (original) => ({
  ...(await original<typeof import("../../local/preflight")>()),
  unsupported: () => undefined,
  installPrograms: async () => "all installed",
}));
const deployed = vi.hoisted(() => [] as unknown[]);
vi.mock("../../local/up", () => ({
  bringUp: async ({ workDir }: { workDir: string }) => {
    deployed.push(parse(readFileSync(`${workDir}/Pulumi.local.yaml`, "utf8")));
    return {};
  },
}));

const SETTING = "qwen3-embedding-stack:";
const OWN = {
  [`${SETTING}awsEndpointUrl`]: "http://10.213.7.1:4566",
  [`${SETTING}httpsProxy`]: "http://10.213.7.1:3128",
  [`${SETTING}modelSha256`]: "a".repeat(64),
};
const repository = parse(readFileSync(join(ROOT, "Pulumi.local.yaml"), "utf8")).config;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "qwen3-start-"));
  vi.stubEnv("XDG_STATE_HOME", folder);
  deployed.length = 0;
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** An environment that runs, with this configuration. */
function running(config: Record<string, unknown>): Workspace {
  const state = join(folder, "qwen3-embedding-stack", "local");
  const workDir = join(state, "work");
  mkdirSync(workDir, { recursive: true });
  writeFileSync(join(workDir, "Pulumi.local.yaml"), stringify({ encryptionsalt: "v1:salt", config }));
  const workspace = { stackName: "local", workDir, env: {} };
  const alive = { emulatorPid: process.pid, proxyPid: process.pid, prepared: true };
  writeFileSync(
    join(state, "environment.json"),
    JSON.stringify({ ...workspace, ...alive, name: "local", state }),
  );
  return workspace;
}

async function start(): Promise<string> {
  const printed: string[] = [];
  // listr2's.
  const terminal = vi
    .spyOn(process.stdout, "write")
    .mockImplementation((text) => printed.push(String(text)) > 0);
  onTestFinished(() => terminal.mockRestore());
  const stream = { write: (text: string) => void printed.push(text) };
  await startEnvironment("local", new Context(process.env, { stdout: stream, stderr: stream }));
  return printed.join("");
}

test("a second start applies what was edited, added and removed, and keeps the environment's own values", async () => {
  const { [`${SETTING}accelerator`]: _, ...fewer } = repository;
  const edited = { ...fewer, [`${SETTING}instanceType`]: "m7i.large", [`${SETTING}maxInputs`]: 7 };
  running({ ...edited, ...OWN });
  const printed = await start();
  expect(deployed).toEqual([{ encryptionsalt: "v1:salt", config: { ...repository, ...OWN } }]);
  expect(printed).toContain("Settings of Pulumi.local.yaml: changed accelerator, instanceType, maxInputs");
});

test("a start without an edit changes nothing", async () => {
  running({ ...repository, ...OWN });
  expect(await start()).toContain("Settings of Pulumi.local.yaml: as before");
  expect(deployed).toEqual([{ encryptionsalt: "v1:salt", config: { ...repository, ...OWN } }]);
});

test("a file that is not YAML is named, and changes nothing", () => {
  const workspace = running(OWN);
  expect(() => updateConfiguration(workspace, "README.md", [])).toThrow(/^README.md is not YAML: /);
  expect(parse(readFileSync(join(workspace.workDir, "Pulumi.local.yaml"), "utf8")).config).toEqual(OWN);
});
