import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { isOlder, NEEDED } from "../lib/nodeVersion";
import { ROOT } from "../lib/paths";
import { failureOf, findPulumi, NPM_BINARIES, runPulumi } from "../lib/pulumi";
import { type Check, Problem, Warning } from "./check";

/** devEngines in package.json: npm of Node 20. */
const NEEDED_NPM = "10.0.0";

/** The engine that the engine layer of tests runs. */
const TESTED_PULUMI = "3.259.0";

/** Versions of the programs on PATH, which `npm run` and `npx` put Node 24 first on. */
export function toolChecks(env: NodeJS.ProcessEnv): Check[] {
  return [
    { name: "Node", run: () => versionOf("node", NEEDED, "npm ci, then npx pulumi up", env) },
    { name: "npm", run: () => versionOf("npm", NEEDED_NPM, "npm install --global npm", env) },
    { name: "Pulumi", run: () => pulumiVersion(env) },
  ];
}

/** @throws Problem if the program is missing or too old */
async function versionOf(
  program: string,
  needed: string,
  next: string,
  env: NodeJS.ProcessEnv,
): Promise<string> {
  let printed: string;
  try {
    printed = (await promisify(execFile)(program, ["--version"], { env, timeout: 20_000 })).stdout;
  } catch (error) {
    throw new Problem(`${program} can't be run: ${(error as Error).message.split("\n")[0]}`, next);
  }
  const version = printed.trim().replace(/^v/, "");
  if (isOlder(version, needed)) {
    throw new Problem(`${version}; required: ${needed} or later`, next);
  }
  return version;
}

async function pulumiVersion(env: NodeJS.ProcessEnv): Promise<string | Warning> {
  let command: string;
  try {
    command = findPulumi(env);
  } catch {
    throw new Problem("there is no pulumi on PATH", "npm ci, which installs it");
  }
  if (dirname(command) === NPM_BINARIES) {
    // It is an installer, which would download the program; this command changes nothing.
    return `${npmPackageVersion()}, which npx pulumi downloads when it is first used`;
  }
  const finished = await runPulumi(["version"], ROOT, env);
  if (finished.code !== 0) {
    throw new Problem(`${command} version failed: ${failureOf(finished)}`, "install Pulumi again");
  }
  const version = finished.stdout.trim().replace(/^v/, "");
  return isOlder(version, TESTED_PULUMI)
    ? new Warning(
        `${version} (${command}); tested: ${TESTED_PULUMI} or later`,
        `update Pulumi, or remove it from PATH: npm ci installs ${npmPackageVersion()}`,
      )
    : `${version} (${command})`;
}

function npmPackageVersion(): string {
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    devDependencies: Record<string, string>;
  };
  return devDependencies.pulumi!;
}
