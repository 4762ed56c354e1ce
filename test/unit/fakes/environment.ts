import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { Context, run } from "../../../scripts/lib/commandLine";
import type { StackOutputs } from "../../../scripts/lib/stack";

/** A response of the Pulumi CLI. */
export interface Answer {
  code: number;
  stdout?: string;
  stderr?: string;
}

/** A home with a local environment named `local`, whose `pulumi` returns prepared responses. */
export class FakeHome {
  readonly folder = mkdtempSync(join(tmpdir(), "qwen3-home-"));
  readonly stateDirectory = join(this.folder, "state", "qwen3-embedding-stack", "local");
  /** Without the variables of the local environment, as in a user's shell. */
  readonly env: NodeJS.ProcessEnv = {
    HOME: this.folder,
    PATH: process.env.PATH,
    XDG_STATE_HOME: join(this.folder, "state"),
  };

  /**
   * @param answers responses by the first words of the command, such as `stack output`
   * @param project the name in Pulumi.yaml
   */
  constructor(awsEndpoint: string, answers: Record<string, Answer>, project = "qwen3-embedding-stack") {
    const binaries = join(this.folder, "bin");
    mkdirSync(binaries);
    mkdirSync(this.stateDirectory, { recursive: true });
    writeFileSync(join(this.folder, "answers.json"), JSON.stringify(answers));
    writeFileSync(
      join(binaries, "pulumi"),
      `#!${process.execPath}
const line = process.argv.slice(2).join(" ");
const answers = require(${JSON.stringify(join(this.folder, "answers.json"))});
const answer = answers[Object.keys(answers).find((start) => line.startsWith(start))];
process.stdout.write(answer.stdout ?? "");
process.stderr.write(answer.stderr ?? "");
process.exitCode = answer.code;
`,
    );
    chmodSync(join(binaries, "pulumi"), 0o755);
    const env = {
      PATH: binaries,
      AWS_ENDPOINT_URL: awsEndpoint,
      AWS_ACCESS_KEY_ID: "AKIALOCALADMINISTRATOR",
      AWS_SECRET_ACCESS_KEY: "local",
    };
    writeFileSync(
      join(this.stateDirectory, "environment.json"),
      JSON.stringify({ stackName: "local", workDir: this.folder, env }),
    );
    writeFileSync(join(this.folder, "Pulumi.yaml"), `name: ${project}\nruntime: nodejs\n`);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export const SECRET_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:qwen3-default-AbCdEf";
export const OTHER_ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:qwen3-search-AbCdEf";

/** Pulumi's responses for a whole stack. */
export function stackAnswers(
  outputs: Partial<StackOutputs>,
  settings: Record<string, string> = {},
): Record<string, Answer> {
  const config = Object.entries(settings).map(([name, value]) => [name, { value, secret: false }]);
  return {
    "stack output": { code: 0, stdout: JSON.stringify(outputs) },
    config: { code: 0, stdout: JSON.stringify(Object.fromEntries(config)) },
  };
}

export function stackOutputs(endpoint: string, caCertificate: string): StackOutputs {
  return {
    endpoint,
    caCertificate,
    model: "Qwen3-Embedding-4B",
    dimensions: 2560,
    region: "us-east-1",
    instanceId: "i-0123456789abcdef0",
    secretArns: { default: SECRET_ARN, search: OTHER_ARN },
    apiKeyUrns: { default: "urn:pulumi:default", search: "urn:pulumi:search" },
    secretArn: SECRET_ARN,
    apiKeyUrn: "urn:pulumi:default",
  };
}

/** Runs a command in this process. @returns its exit status and output */
export async function runCommand(
  build: (context: Context) => Command,
  argv: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ status: number; stdout: string; stderr: string }> {
  const written = { stdout: "", stderr: "" };
  const stream = (name: keyof typeof written) => ({
    write(text: string) {
      written[name] += text;
    },
  });
  const context = new Context(env, { stdout: stream("stdout"), stderr: stream("stderr") });
  const status = await run(build(context), argv, context);
  return { status, ...written };
}
