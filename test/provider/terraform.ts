import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { run } from "../../local/process";
import { DEPLOYER } from "./emulator";
import type { ProviderSchema } from "./schema";
import type { Configuration } from "./translate";

const SOURCE = "registry.terraform.io/hashicorp/aws";

/** The folder with the provider, in the layout of `terraform providers mirror`. */
export const MIRROR_VARIABLE = "QWEN3_TERRAFORM_MIRROR";

/** Terraform and the AWS provider, both installed on this computer. */
export interface Tools {
  terraform: string;
  /** Folder that contains registry.terraform.io/. */
  mirror: string;
}

/** The tools, or why this layer cannot run here. */
export function findTools(env: NodeJS.ProcessEnv = process.env): Tools | string {
  const folders = [...(env.PATH ?? "").split(delimiter), "/usr/local/bin"];
  const terraform = folders.map((folder) => join(folder, "terraform")).find((file) => existsSync(file));
  if (!terraform) {
    return "it requires terraform, which is not on PATH";
  }
  const mirror = env[MIRROR_VARIABLE] || "/opt/tf-plugins";
  if (!existsSync(join(mirror, SOURCE)) || readdirSync(join(mirror, SOURCE)).length === 0) {
    return (
      `it requires AWS's provider for Terraform in ${mirror}, or in the folder that ${MIRROR_VARIABLE} names ` +
      "(`terraform providers mirror FOLDER` fills one)"
    );
  }
  return { terraform, mirror };
}

/** A URL at which nothing listens. */
export const NOWHERE = "http://127.0.0.1:9";

/** A planned change. */
export interface Change {
  address: string;
  /** `["create"]`, `["update"]`, `["delete"]`, `["create", "delete"]`, … */
  actions: string[];
}

/** A working folder of Terraform with the AWS provider. It downloads nothing. */
export class Terraform {
  private readonly env: NodeJS.ProcessEnv;

  /**
   * @param endpoint the URL of every AWS service for the provider
   * @param as credentials, and settings of the provider
   */
  constructor(
    private readonly tools: Tools,
    private readonly folder: string,
    endpoint = NOWHERE,
    private readonly as: { credentials?: typeof DEPLOYER; settings?: Record<string, unknown> } = {},
  ) {
    const { credentials = DEPLOYER } = as;
    const cliConfig = join(folder, "cli.tfrc");
    writeFileSync(
      cliConfig,
      `provider_installation {\n  filesystem_mirror {\n    path    = ${JSON.stringify(tools.mirror)}\n    include = ["registry.terraform.io/hashicorp/*"]\n  }\n}\n`,
    );
    this.env = {
      PATH: process.env.PATH,
      HOME: folder,
      TF_CLI_CONFIG_FILE: cliConfig,
      TF_IN_AUTOMATION: "true",
      CHECKPOINT_DISABLE: "true",
      AWS_ENDPOINT_URL: endpoint,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      AWS_EC2_METADATA_DISABLED: "true",
    };
  }

  /** Writes the configuration and installs the provider. Returns the provider's version. */
  async init(configuration: Partial<Configuration> = {}): Promise<string> {
    const main = {
      terraform: { required_providers: { aws: { source: SOURCE } } },
      // A request for a missing action would otherwise be retried for ten minutes.
      provider: {
        aws: { region: "us-east-1", s3_use_path_style: true, max_retries: 2, ...this.as.settings },
      },
      // Terraform does not accept an empty object here.
      ...Object.fromEntries(Object.entries(configuration).filter(([, part]) => Object.keys(part).length > 0)),
    };
    writeFileSync(join(this.folder, "main.tf.json"), JSON.stringify(main, null, 2));
    await this.run("init", "-input=false");
    const { provider_selections } = JSON.parse(await this.run("version", "-json")) as {
      provider_selections: Record<string, string>;
    };
    return provider_selections[SOURCE]!;
  }

  async schema(): Promise<ProviderSchema> {
    const all = JSON.parse(await this.run("providers", "schema", "-json")) as {
      provider_schemas: Record<string, ProviderSchema>;
    };
    return all.provider_schemas[SOURCE]!;
  }

  /** The changes that an apply would make. */
  async plan(variables: Record<string, string> = {}): Promise<Change[]> {
    await this.run("plan", "-input=false", "-out=plan", "-parallelism=20", ...variableArguments(variables));
    const plan = JSON.parse(await this.run("show", "-json", "plan")) as {
      resource_changes?: { address: string; change: { actions: string[] } }[];
    };
    return (plan.resource_changes ?? [])
      .map(({ address, change: { actions } }) => ({ address, actions }))
      .filter(({ actions }) => actions.join() !== "no-op" && actions.join() !== "read");
  }

  /** Applies the last plan. */
  async applyPlan(): Promise<void> {
    await this.run("apply", "-input=false", "-parallelism=20", "plan");
  }

  async destroy(): Promise<void> {
    await this.run("destroy", "-input=false", "-auto-approve", "-parallelism=20");
  }

  /** Addresses of everything in the state. */
  async list(): Promise<string[]> {
    return (await this.run("state", "list")).split("\n").filter(Boolean);
  }

  private run(...args: string[]): Promise<string> {
    const colourless = ["init", "plan", "apply", "destroy"].includes(args[0]!) ? ["-no-color"] : [];
    return run(this.tools.terraform, [args[0]!, ...colourless, ...args.slice(1)], {
      cwd: this.folder,
      env: this.env,
      timeoutMs: 8 * 60_000,
    });
  }
}

function variableArguments(variables: Record<string, string>): string[] {
  return Object.entries(variables).map(([name, value]) => `-var=${name}=${value}`);
}

/** The schema of the installed AWS provider, also as a file in `folder`. */
export async function readSchema(
  tools: Tools,
  folder: string,
): Promise<{ schema: ProviderSchema; file: string }> {
  const work = join(folder, "schema");
  mkdirSync(work);
  const terraform = new Terraform(tools, work);
  const version = await terraform.init();
  console.log(`AWS's provider for Terraform, version ${version}`);
  const schema = await terraform.schema();
  const file = join(folder, "schema.json");
  writeFileSync(file, JSON.stringify(schema));
  return { schema, file };
}
