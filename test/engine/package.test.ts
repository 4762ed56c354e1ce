import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { unsupported } from "../../local/preflight";
import { run } from "../../local/process";
import { ROOT } from "../../scripts/lib/paths";
import { type EngineEnvironment, startEngineEnvironment } from "./environment";

/**
 * Runs the program that stands in a folder with the packages of that folder, through the real engine. Pulumi's language
 * host, which would do the same, cannot be installed everywhere.
 */
const DRIVER = `
const { LocalWorkspace } = require("@pulumi/pulumi/automation");
const [, , operation] = process.argv;
(async () => {
  const program = async () => ({ ...require("./index") });
  const stack = await LocalWorkspace.createOrSelectStack(
    { stackName: "test", projectName: "two-embedding-services", program },
    { workDir: __dirname, envVars: process.env },
  );
  if (operation === "up") {
    const { outputs } = await stack.up({ suppressProgress: true });
    const values = Object.fromEntries(Object.entries(outputs).map(([name, { value }]) => [name, value]));
    console.log("RESULT " + JSON.stringify({ outputs: values, ...(await stack.exportStack()) }));
  } else if (operation === "preview") {
    await stack.preview({ expectNoChanges: true });
  } else {
    await stack.destroy();
  }
})().catch((error) => { console.error(error.message); process.exitCode = 1; });
`;

interface StateResource {
  urn: string;
  type: string;
  provider?: string;
  inputs?: Record<string, unknown>;
}

interface Result {
  outputs: Record<string, Record<string, unknown>>;
  deployment: { resources: StateResource[] };
}

describe.skipIf(unsupported() !== undefined)("the package, in a program of its own elsewhere", () => {
  let environment: EngineEnvironment;
  let folder: string;
  let result: Result;

  /** One operation of the program's stack. */
  async function drive(operation: "up" | "preview" | "destroy"): Promise<string> {
    const loader = join(ROOT, "node_modules/tsx/dist/loader.mjs");
    return run(join(ROOT, "node_modules/.bin/node"), ["--import", loader, "driver.js", operation], {
      cwd: folder,
      env: { ...process.env, ...environment.env },
    });
  }

  beforeAll(async () => {
    environment = await startEngineEnvironment();
    folder = mkdtempSync(join(tmpdir(), "qwen3-package-"));
    cpSync(join(ROOT, "examples/component"), folder, { recursive: true });
    const packed = await run("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: ROOT });
    const archive = packed.trim().split("\n").at(-1)!;
    await run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", `./${archive}`], {
      cwd: folder,
    });
    writeFileSync(join(folder, "driver.js"), DRIVER);
    const config = {
      "aws:region": "us-east-1",
      "two-embedding-services:allowedCidrs": ["203.0.113.0/24"],
      "two-embedding-services:domain": "archive.example.com",
      "two-embedding-services:awsEndpointUrl": environment.aws.url,
    };
    writeFileSync(join(folder, "Pulumi.test.yaml"), JSON.stringify({ config }));
  });

  afterAll(async () => {
    await environment?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it("carries what it runs, and neither tests nor the local environment", () => {
    const own = join(folder, "node_modules/qwen3-embedding-stack");
    const files = readdirSync(own, { recursive: true, encoding: "utf8" });
    expect(files).toEqual(expect.arrayContaining(["dist/components/index.js", "dist/components/index.d.ts"]));
    expect(files).toEqual(expect.arrayContaining(["dist/machine/install.sh", "dist/scripts/cli.js"]));
    expect(files.filter((file) => /^dist\/(local|test|bench)\b|tests?\/|\.test\./.test(file))).toEqual([]);
  });

  it("has types that a program compiles against", async () => {
    const tsconfig = {
      compilerOptions: {
        module: "commonjs",
        moduleResolution: "bundler",
        strict: true,
        noEmit: true,
        skipLibCheck: true,
      },
      include: ["index.ts"],
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(tsconfig));
    await run(join(ROOT, "node_modules/.bin/tsc"), ["-p", folder], { cwd: folder });
  });

  it("creates two services side by side, one of them in another region by an explicit provider", async () => {
    const printed = await drive("up");
    result = JSON.parse(/^RESULT (.*)$/m.exec(printed)![1]!) as Result;
    expect(result.outputs).toMatchObject({
      endpoints: {
        website: expect.stringMatching(/^https:\/\/10\.213\.250\.\d+\/v1$/),
        archive: "https://archive.example.com/v1",
      },
      regions: { website: "us-east-1", archive: "eu-west-1" },
      secretArns: {
        website: { search: expect.stringContaining(":us-east-1:"), chat: expect.any(String) },
        archive: { indexer: expect.stringContaining(":eu-west-1:") },
      },
    });
  });

  it("gives every resource of the second service that provider, and none of the first", () => {
    const { resources } = result.deployment;
    const provider = resources.find(
      ({ type, urn }) => type === "pulumi:providers:aws" && /::ireland$/.test(urn),
    )!;
    const uses = ({ provider: used = "" }: StateResource) => used.startsWith(`${provider.urn}::`);
    const aws = resources.filter(({ type }) => type.startsWith("aws:"));
    const named = (name: string) => aws.filter(({ urn }) => urn.split("::").at(-1)!.startsWith(name));
    expect(named("archive").length).toBeGreaterThan(20);
    expect(named("archive").filter((each) => !uses(each))).toEqual([]);
    expect(named("website").length).toBeGreaterThan(20);
    expect(named("website").filter(uses)).toEqual([]);
    expect(named("archive").length + named("website").length).toBe(aws.length);
  });

  it("verifies each service by a program of the package's own, without npm and without a path of this machine", () => {
    const runs = environment.verifications();
    expect(runs.map(({ VERIFY_REGION }) => VERIFY_REGION).sort()).toEqual(["eu-west-1", "us-east-1"]);
    for (const { ARGUMENTS } of runs) {
      expect(ARGUMENTS).toBe("node_modules/qwen3-embedding-stack/dist/scripts/cli.js verify --from-env");
      expect(existsSync(join(folder, ARGUMENTS!.split(" ")[0]!))).toBe(true);
    }
  });

  it("carries a verify that runs", async () => {
    const cli = join(folder, "node_modules/qwen3-embedding-stack/dist/scripts/cli.js");
    expect(
      await run(join(ROOT, "node_modules/.bin/node"), [cli, "verify", "--help"], { cwd: folder }),
    ).toMatch(/--from-env/);
  });

  it("has nothing to change a second time", async () => {
    await drive("preview");
  });

  it("writes nothing into node_modules or the program's folder", () => {
    expect(readdirSync(folder).sort()).toEqual(
      expect.arrayContaining(["Pulumi.test.yaml", "driver.js", "index.ts", "node_modules", "package.json"]),
    );
    expect(existsSync(join(folder, "node_modules/.cache"))).toBe(false);
    expect(existsSync(join(folder, "node_modules/qwen3-embedding-stack/node_modules/.cache"))).toBe(false);
  });

  it("destroys both", async () => {
    await drive("destroy");
    const state = join(environment.backend, ".pulumi/stacks/two-embedding-services/test.json");
    const { checkpoint } = JSON.parse(readFileSync(state, "utf8"));
    expect(checkpoint.latest.resources ?? []).toEqual([]);
  });
});
