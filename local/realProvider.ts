import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ProviderEndpoint } from "@pulumi/aws/types/input";
import * as pulumi from "@pulumi/pulumi";
import type { Stack } from "@pulumi/pulumi/automation";
import { ROOT } from "../scripts/lib/paths";
import { runProgram } from "../scripts/lib/program";
import { run } from "./process";

/**
 * `npm start -- --real-provider`: AWS's own provider for Pulumi against the emulator. The emulator's RunInstances boots
 * nothing, so there is no endpoint, and the program's commands are replaced by a line that says so.
 */

/** The services of which the stack uses resources or look-ups, by the provider's names of endpoints. */
export const SERVICES: readonly (keyof ProviderEndpoint)[] = [
  ...(["acm", "autoscaling", "budgets", "cloudwatch", "ec2", "elbv2", "iam"] as const),
  ...(["route53", "s3", "scheduler", "secretsmanager", "ssm", "sts"] as const),
];

/**
 * The provider's configuration, by Pulumi's keys: every service is the emulator's, and nothing is asked of AWS. Access
 * keys are in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (workspace.ts). The provider still requests the account's ID,
 * from the emulator's STS: ARNs contain it.
 */
export function realProviderConfiguration(emulatorUrl: string): Record<string, unknown> {
  return {
    "aws:endpoints": [Object.fromEntries(SERVICES.map((service) => [service, emulatorUrl]))],
    "aws:s3UsePathStyle": true,
    "aws:skipCredentialsValidation": true,
    "aws:skipMetadataApiCheck": true,
    // A request that the emulator can't perform would otherwise be repeated for ten minutes.
    "aws:maxRetries": 2,
  };
}

/** Adds the provider's configuration to that of a stack. */
export async function configureRealProvider({ name, workspace }: Stack, emulatorUrl: string): Promise<void> {
  const settings = await workspace.stackSettings(name);
  const config = { ...settings.config, ...realProviderConfiguration(emulatorUrl) };
  await workspace.saveStackSettings(name, { ...settings, config: config as typeof settings.config });
}

/** The version of the plugin that the installed package @pulumi/aws asks for. */
export function pluginVersion(): string {
  const file = join(ROOT, "node_modules/@pulumi/aws/package.json");
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

/**
 * Installs the plugin where a stack's engine finds it.
 *
 * @param pulumi the engine's command line
 * @param home the stack's PULUMI_HOME
 * @throws Error with the reason if it cannot be installed
 */
export async function installPlugin(pulumi: string, home: string): Promise<void> {
  const version = pluginVersion();
  try {
    await run(pulumi, ["plugin", "install", "resource", "aws", version], {
      env: { ...process.env, PULUMI_HOME: home, PULUMI_SKIP_UPDATE_CHECK: "true" },
      timeoutMs: 600_000,
    });
  } catch (error) {
    throw new Error(
      `--real-provider needs Pulumi's plugin aws ${version}, which cannot be installed here; without the option, ` +
        `npm start uses a fake of it. The engine's reason: ${(error as Error).message}`,
    );
  }
}

/** What every command of the program runs instead. */
const NOT_VERIFIED = "echo 'not verified: with --real-provider no instance boots'";

/** The repository's program without its commands, such as the verification: they need an instance. */
export function programWithoutCommands(): ReturnType<typeof runProgram> {
  replaceCommands();
  return runProgram();
}

export function replaceCommands(): void {
  pulumi.runtime.registerStackTransformation(({ type, props, opts }) =>
    type === "command:local:Command"
      ? { props: { ...props, create: NOT_VERIFIED, update: NOT_VERIFIED }, opts }
      : undefined,
  );
}
