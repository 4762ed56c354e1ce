import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { LocalWorkspace, type Stack } from "@pulumi/pulumi/automation";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { unsupported } from "../../local/preflight";
import { run } from "../../local/process";
import { ROOT } from "../../scripts/lib/paths";
import { type EngineEnvironment, startEngineEnvironment } from "./environment";

/**
 * Runs the program in a folder with the packages of that folder, through the real engine. Pulumi's language host, which
 * would do the same, cannot be installed everywhere.
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

/** By its path, because the engine's environment has a `node` that only records its environment. */
const NODE = join(ROOT, "node_modules/.bin/node");

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

describe.skipIf(unsupported() !== undefined)(
  "the package, in a separate program outside the repository",
  () => {
    let environment: EngineEnvironment;
    let folder: string;
    let result: Result;

    /** One operation of the program's stack. */
    async function drive(operation: "up" | "preview" | "destroy"): Promise<string> {
      const loader = join(ROOT, "node_modules/tsx/dist/loader.mjs");
      return run(NODE, ["--import", loader, "driver.js", operation], {
        cwd: folder,
        env: { ...process.env, ...environment.env },
      });
    }

    beforeAll(async () => {
      // The variables before the environment, without those that npm sets for its children: this is a separate program.
      const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
      environment = await startEngineEnvironment();
      folder = mkdtempSync(join(tmpdir(), "qwen3-package-"));
      cpSync(join(ROOT, "examples/component"), folder, { recursive: true });
      await run("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: ROOT, env: clean });
      const archive = readdirSync(folder).find((file) => file.endsWith(".tgz"))!;
      await run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", `./${archive}`], {
        cwd: folder,
        env: clean,
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

    it("contains what it runs, but neither tests nor the local environment", () => {
      const own = join(folder, "node_modules/qwen3-embedding-stack");
      const files = readdirSync(own, { recursive: true, encoding: "utf8" });
      expect(files).toEqual(
        expect.arrayContaining(["dist/components/index.js", "dist/components/index.d.ts"]),
      );
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
      await run(NODE, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", folder], { cwd: folder });
    });

    it("creates two services, one of them in another region with an explicit provider", async () => {
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

    it("uses that provider for every resource of the second service, and for none of the first", () => {
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

    it("verifies each service with the package's own program, without npm and without a path of this computer", () => {
      const runs = environment.verifications();
      expect(runs.map(({ VERIFY_REGION }) => VERIFY_REGION).sort()).toEqual(["eu-west-1", "us-east-1"]);
      for (const { ARGUMENTS } of runs) {
        expect(ARGUMENTS).toBe("node_modules/qwen3-embedding-stack/dist/scripts/cli.js verify --from-env");
        expect(existsSync(join(folder, ARGUMENTS!.split(" ")[0]!))).toBe(true);
      }
    });

    it("contains a verify that runs", async () => {
      const cli = join(folder, "node_modules/qwen3-embedding-stack/dist/scripts/cli.js");
      expect(await run(NODE, [cli, "verify", "--help"], { cwd: folder })).toMatch(/--from-env/);
    });

    it("changes nothing in a second update", async () => {
      await drive("preview");
    });

    it("writes nothing to node_modules or the program's folder", () => {
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

    describe("as a package for other languages", () => {
      /** The component as an SDK from `pulumi package add` registers it: the engine has the provider construct it. */
      class RemoteService extends pulumi.ComponentResource {
        declare readonly endpoint: pulumi.Output<string>;
        declare readonly secretArns: pulumi.Output<Record<string, string>>;

        constructor(name: string, args: pulumi.Inputs) {
          const outputs = { endpoint: undefined, secretArns: undefined };
          super("qwen3-embedding:index:EmbeddingService", name, { ...args, ...outputs }, {}, true);
        }
      }

      /** The stack of a program that uses the package. */
      async function openStack(args: pulumi.Inputs): Promise<Stack> {
        const program = async () => {
          const { endpoint, secretArns } = new RemoteService("remote", args);
          return { endpoint, secretArns };
        };
        const stack = await LocalWorkspace.createOrSelectStack(
          { stackName: "remote", projectName: "other-language", program },
          { envVars: environment.env },
        );
        await stack.setConfig("aws:region", { value: "eu-central-1" });
        return stack;
      }

      const args = () => ({
        allowedCidrs: ["203.0.113.0/24"],
        clients: ["search"],
        awsEndpointUrl: environment.aws.url,
      });

      beforeAll(() => {
        const loader = join(ROOT, "node_modules/tsx/dist/loader.mjs");
        const host = join(__dirname, "pluginHost.ts");
        const provider = join(folder, "pulumi-resource-qwen3-embedding");
        writeFileSync(provider, `#!/bin/sh\nexec "${NODE}" --import "${loader}" "${host}" "$@"\n`, {
          mode: 0o755,
        });
        environment.env.PATH = `${folder}:${environment.env.PATH}`;
        process.env.PATH = environment.env.PATH;
      });

      it("rejects wrong arguments with the setting, the value and what is allowed", async () => {
        const stack = await openStack({ ...args(), contextLength: 1, instanceTyp: "g6e.xlarge" });
        await expect(stack.up()).rejects.toThrow(
          /instanceTyp is not a setting; allowed: instanceType[\s\S]*contextLength is 1; allowed: a whole number of tokens/,
        );
      });

      it("is constructed by the engine from its flat arguments, and destroyed", async () => {
        const stack = await openStack(args());
        const { outputs } = await stack.up();
        expect(outputs.endpoint!.value).toMatch(/^https:\/\/10\.213\.250\.\d+\/v1$/);
        expect(outputs.secretArns!.value).toEqual({ search: expect.stringContaining(":eu-central-1:") });
        const { deployment } = await stack.exportStack();
        const instance = deployment.resources.find(
          ({ type }: { type: string }) => type === "aws:ec2/instance:Instance",
        );
        expect(instance.urn).toContain(
          "qwen3-embedding:index:EmbeddingService$qwen3-embedding-stack:index:EmbeddingService",
        );
        await stack.destroy();
      });
    });
  },
);
