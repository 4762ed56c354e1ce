import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { LocalWorkspace } from "@pulumi/pulumi/automation";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startEmulator } from "../../local/aws/emulator";
import { prepareEngine } from "../../local/engine";
import { unsupported } from "../../local/preflight";
import { run } from "../../local/process";
import { ROOT } from "../../scripts/lib/paths";
import { runProgram } from "../../scripts/lib/program";
import { freePort } from "../freePort";

/** Replaces `local` and `dev` in the README's commands, so that a user's own environment is not affected. */
const NAME = "readme-test";

const START = "npm ci && npm start";
const TEST = "npm ci && npm test";
const EXAMPLE = "npm run example";
const EVALUATE = "npm run evaluate -- --stack local";
const STOP = "npm stop";
const DEPLOY = ["npm ci", "npx pulumi login", "npx pulumi stack init dev", "npx pulumi up -s dev"];
const DOCTOR = "npm run doctor -- --stack dev";
const VERIFY = "npm run verify -- --stack dev";
const USE = [
  "npm run -s env -- --stack dev --write",
  "set -a && . ./.env && set +a",
  "bash examples/clients/curl.sh",
];
const ROTATE = 'npx pulumi up -s dev --replace "$(npx pulumi stack output -s dev apiKeyUrn)"';

/** Every command of README.md in a code block, without its comment. */
function commands(): string[] {
  const blocks = readFileSync(join(ROOT, "README.md"), "utf8").matchAll(/^```sh\n(.*?)^```$/gms);
  return [...blocks]
    .flatMap(([, block = ""]) => block.split("\n"))
    .map((line) => line.replace(/\s+#.*$/, "").trim())
    .filter((line) => line !== "");
}

it("README.md has exactly the commands that are run here", () => {
  // TEST runs this test.
  const known = [START, TEST, EXAMPLE, EVALUATE, STOP, ...DEPLOY, DOCTOR, VERIFY, ...USE, ROTATE];
  expect(commands().sort()).toEqual(known.sort());
});

describe.skipIf(unsupported() !== undefined)("README.md, in a fresh copy of the repository", () => {
  let folder: string;
  let checkout: string;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "qwen3-readme-"));
    checkout = join(folder, "checkout");
    const listed = await run("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
      cwd: ROOT,
    });
    for (const file of listed.split("\0").filter(Boolean)) {
      mkdirSync(dirname(join(checkout, file)), { recursive: true });
      cpSync(join(ROOT, file), join(checkout, file));
    }
    // So that `npm run env` can check whether .env is ignored.
    await run("git", ["init", "--quiet"], { cwd: checkout });
    // What is downloaded once is kept in the cache that all environments share.
    env = { ...process.env, XDG_STATE_HOME: join(folder, "state") };
  });

  afterAll(async () => {
    await shell(`${STOP} -- ${NAME}`);
    rmSync(folder, { recursive: true, force: true });
  });

  /** Runs commands in the copy, in one shell, as a person would. */
  function shell(script: string, more: NodeJS.ProcessEnv = {}): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const child = spawn("bash", ["-c", `set -e\n${script}`], {
        cwd: checkout,
        env: { ...env, ...more },
        stdio: ["ignore", "pipe", "pipe"],
      });
      let text = "";
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (part: string) => {
          text += part;
        });
      }
      child.on("error", reject);
      child.on("close", (status) => resolve({ status: status ?? -1, text }));
    });
  }

  async function succeed(script: string, more: NodeJS.ProcessEnv = {}): Promise<string> {
    const { status, text } = await shell(script, more);
    expect(status, `${script}:\n${text.slice(-4000)}`).toBe(0);
    return text;
  }

  /** The variables with which the Pulumi command line finds the environment's stack. */
  function pulumi(): { workDir: string; env: Record<string, string> } {
    const state = join(folder, "state", "qwen3-embedding-stack", NAME, "environment.json");
    return JSON.parse(readFileSync(state, "utf8"));
  }

  const named = (command: string) => command.replace(/--stack (local|dev)\b/, `--stack ${NAME}`);

  it(START, async () => {
    expect(await succeed(`${START} -- ${NAME}`)).toContain("The endpoint is up and verified.");
  });

  it(EVALUATE, async () => {
    expect(await succeed(named(EVALUATE))).toMatch(
      /These numbers mean nothing[\s\S]*dimensions +nDCG@10\n +2560 +0\.\d{4}[\s\S]*\n +1024 [\s\S]*\n +768 [\s\S]*\n +256 /,
    );
  });

  it(EXAMPLE, async () => {
    expect(await succeed(`${EXAMPLE} -- --stack ${NAME}`)).toMatch(
      /Why does ice float[^\n]*\n( {2}0\.\d{4} {2}.+\n){3}/,
    );
  });

  it(USE.join("; "), async () => {
    const printed = await succeed(USE.map(named).join("\n"));
    const answer = JSON.parse(printed.slice(printed.indexOf("{")));
    expect(answer.data.map(({ embedding }: { embedding: number[] }) => embedding.length)).toEqual([
      1024, 1024,
    ]);
    expect(statSync(join(checkout, ".env")).mode & 0o777).toBe(0o600);
    expect(await run("git", ["status", "--short", "--ignored", ".env"], { cwd: checkout })).toBe("!! .env\n");
  });

  it(VERIFY, async () => {
    expect(await succeed(named(VERIFY))).toMatch(/\d+ passed, 0 failed/);
  });

  // The language host of the Pulumi command line is downloaded from Pulumi's site; the engine is driven without it.
  it(ROTATE, async () => {
    const { workDir, env: variables } = pulumi();
    const output = `pulumi stack output -s ${NAME} apiKeyUrn --cwd "${workDir}"`;
    const replace =
      'require("./scripts/rotate/engine").openEngine(process.argv[1]).then((engine) => engine.update(process.argv[2]))';
    const keyOf = (text: string) => /^EMBEDDING_API_KEY=(.*)$/m.exec(text)?.[1];
    const key = `npm run -s env -- --stack ${NAME}`;
    const before = keyOf(await succeed(key));
    const printed = await succeed(
      `urn="$(${output})"; node_modules/.bin/tsx --eval '${replace}' ${NAME} "$urn"`,
      variables,
    );
    expect(printed).toMatch(/RandomPassword[\s\S]*replaced/);
    const after = keyOf(await succeed(key));
    expect(after).toMatch(/^qwen3_/);
    expect(after).not.toBe(before);
  });

  it([...DEPLOY, DOCTOR].join("; "), async () => {
    const { path } = await prepareEngine(join(folder, "providers"), () => undefined);
    const emulator = await startEmulator({
      stateDir: folder,
      host: "127.0.0.1",
      port: await freePort(),
      ami: "ami-0123456789abcdef0",
    });
    try {
      const variables = {
        PATH: path,
        PULUMI_HOME: join(folder, "pulumi-home"),
        PULUMI_CONFIG_PASSPHRASE: "for this test",
        PULUMI_SKIP_UPDATE_CHECK: "true",
        AWS_ENDPOINT_URL: emulator.url,
        AWS_ACCESS_KEY_ID: "AKIALOCALADMINISTRATOR",
        AWS_SECRET_ACCESS_KEY: "local",
        AWS_REGION: "us-east-1",
        QWEN3_LOCAL_STATE: folder,
        QWEN3_LOCAL_SUBNET: "10.213.250",
        QWEN3_LOCAL_MACHINES: "none",
      };
      mkdirSync(join(folder, "backend"));
      const [install, login, init] = DEPLOY as [string, string, string, string];
      expect(install).toBe(START.split(" && ")[0]);
      const plain = (command: string) => command.replace("npx pulumi", "pulumi");
      await succeed(`${plain(login)} "file://${join(folder, "backend")}"\n${plain(init)}`, variables);
      expect(await succeed(DOCTOR, variables)).toMatch(/\d+ passed.*, 0 failed/);
      // `npx pulumi up -s dev` shows this preview before it asks for confirmation.
      Object.assign(process.env, variables);
      const project = { projectName: "qwen3-embedding-stack", program: runProgram };
      const stack = await LocalWorkspace.selectStack(
        { stackName: "dev", ...project },
        { workDir: checkout, envVars: variables },
      );
      const { stdout, changeSummary } = await stack.preview({ color: "never" });
      expect(stdout).toMatch(/aws:ec2:Instance +\S+ +create/);
      expect(Object.keys(changeSummary)).toEqual(["create"]);
      expect((await stack.getConfig("qwen3-embedding-stack:instanceType")).value).toBe("g6e.xlarge");
    } finally {
      await emulator.stop();
    }
  });

  it(STOP, async () => {
    expect(await succeed(`${STOP} -- ${NAME}`)).toContain(`The local environment ${NAME} is gone.`);
    expect(await run("ps", ["-eo", "args"])).not.toContain(folder);
  });
});
