import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { ROOT } from "./paths";

/** Folder of npm's own programs, which npm puts first on the PATH of every script. */
export const NPM_BINARIES = join(ROOT, "node_modules", ".bin");

/** A completed run of the Pulumi CLI. */
export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the Pulumi CLI without a terminal. */
export function runPulumi(args: string[], cwd: string, env: NodeJS.ProcessEnv): Promise<Finished> {
  const command = findPulumi(env);
  return new Promise((done, fail) => {
    const child = spawn(command, [...args, "--non-interactive"], {
      cwd,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", (error) => fail(new Error(`${command} can't be run: ${error.message}`)));
    child.on("close", (code) => done({ code, stdout, stderr }));
  });
}

/** Why a run failed, as Pulumi reports it. */
export function failureOf({ code, stderr }: Finished): string {
  return stderr.trim() || `pulumi ended with ${code} and printed nothing`;
}

/** npm puts its own binaries first on PATH, among them the package pulumi's installer. An installed Pulumi is preferred. */
export function findPulumi(env: NodeJS.ProcessEnv): string {
  const folders = (env.PATH ?? "")
    .split(delimiter)
    .filter((folder) => folder && resolve(folder) !== NPM_BINARIES);
  const candidates = [...folders, NPM_BINARIES].map((folder) => join(folder, "pulumi"));
  const found = candidates.find(isExecutable);
  if (found === undefined) {
    throw new Error("there is no pulumi on PATH: run npm ci, which installs it");
  }
  return found;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
