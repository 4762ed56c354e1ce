import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { ROOT } from "../../scripts/lib/paths";
import { runProgram } from "../../scripts/lib/program";
import { type EngineEnvironment, startEngineEnvironment } from "./environment";

const folder = mkdtempSync(join(tmpdir(), "qwen3-policies-"));
const pack = join(ROOT, "policy");
let environment: EngineEnvironment;

beforeAll(async () => {
  process.env.PATH = `${policyHost()}:${process.env.PATH}`;
  environment = await startEngineEnvironment();
});

afterAll(async () => {
  await environment?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe("the policy pack, run by the engine in a preview", () => {
  it.each<[string, string, Record<string, unknown>]>([
    ["local", "local", {}],
    ["dev", "dev", {}],
    ["prod", "prod", {}],
    ["a fleet", "prod", { domain: "embeddings.example.com", instancesMin: 2, instancesMax: 3 }],
  ])("reports no violation for %s", async (_, name, more) => {
    await configure(name, more);
    const { stdout } = await environment.stack.preview({ policyPacks: [pack] });
    expect(stdout).toMatch(/qwen3-embedding-stack@v\d.*local/);
    expect(stdout).not.toMatch(/\[mandatory\]/);
  });

  it("reports no violation for properties that only the update knows: user data, policies", async () => {
    await configure("dev", {
      stopSchedule: "0 20 ? * MON-FRI *",
      startSchedule: "0 7 ? * MON-FRI *",
      budgetMonthlyUsd: 500,
      budgetEmails: ["ops@example.com"],
    });
    const { stdout } = await environment.stack.up({ policyPacks: [pack] });
    expect(stdout).not.toMatch(/\[mandatory\]/);
    expect(stdout.match(/aws:scheduler:Schedule .* created/g)).toHaveLength(2);
    expect(stdout).toMatch(/aws:budgets:Budget .* created/);
  });

  it("stops an update that violates a policy", async () => {
    await configure("dev");
    environment.stack.workspace.program = async () => {
      pulumi.runtime.registerStackTransformation(({ type, props, opts }) =>
        type === "aws:ec2/instance:Instance"
          ? {
              props: { ...props, metadataOptions: { httpTokens: "optional", httpPutResponseHopLimit: 1 } },
              opts,
            }
          : undefined,
      );
      return runProgram();
    };
    await expect(environment.stack.preview({ policyPacks: [pack] })).rejects.toThrow(/imdsv2/);
    environment.stack.workspace.program = runProgram;
  });
});

/** Starts packs as the language host does, which is not a Go module, so an engine built from its module lacks it. */
function policyHost(): string {
  const bin = join(folder, "bin");
  mkdirSync(bin);
  const script = join(bin, "pulumi-analyzer-policy-nodejs");
  writeFileSync(
    script,
    `#!/bin/sh\nexec "${ROOT}/node_modules/.bin/node" "${ROOT}/node_modules/@pulumi/pulumi/cmd/run-policy-pack" "$@"\n`,
  );
  chmodSync(script, 0o755);
  return bin;
}

/** Configures the stack with the settings of one of the repository's files, and additional ones. */
async function configure(name: string, more: Record<string, unknown> = {}): Promise<void> {
  const { config } = parse(readFileSync(join(ROOT, `Pulumi.${name}.yaml`), "utf8")) as {
    config: Record<string, unknown>;
  };
  const added = Object.fromEntries(
    Object.entries(more).map(([setting, value]) => [`qwen3-embedding-stack:${setting}`, value]),
  );
  const { workspace, name: stack } = environment.stack;
  await workspace.removeAllConfig(stack, Object.keys(await workspace.getAllConfig(stack)));
  const settings = await workspace.stackSettings(stack);
  await workspace.saveStackSettings(stack, { ...settings, config: { ...config, ...added } as never });
}
