import { randomBytes } from "node:crypto";
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { ROOT } from "../../../scripts/lib/paths";
import { autoname, hasUnknown, InputError, type Props, type ResourceDefinition } from "../framework";
import { arn } from "./account";

/** What the emulator reads when a function is invoked (local/aws/functions.py). */
interface Definition {
  /** A new value causes a new instance of the function. */
  revision: string;
  node: string;
  code: string;
  handler: string;
  role: string;
  timeout: number;
  variables: Record<string, string>;
}

interface Asset {
  asset?: { path?: string; text?: string };
}

const RUNTIME = "nodejs24.x";

const lambdaFunction: ResourceDefinition = {
  inputs: [
    ...[
      "name",
      "description",
      "role",
      "runtime",
      "architectures",
      "handler",
      "code",
      "memorySize",
      "timeout",
    ],
    ...["environment", "loggingConfig", "tags"],
  ],
  replaceOn: ["name"],
  check: (inputs, context) => {
    if (!hasUnknown(inputs.runtime) && inputs.runtime !== RUNTIME) {
      throw new InputError(
        "runtime",
        `is ${String(inputs.runtime)}; the local fake supports only ${RUNTIME}`,
      );
    }
    return autoname({ timeout: 3, ...inputs }, "name", context);
  },
  create: async (inputs) => {
    writeFunction(inputs);
    const name = inputs.name as string;
    return { id: name, outputs: { arn: arn("lambda", `function:${name}`) } };
  },
  update: async (_id, _olds, news) => {
    writeFunction(news);
    return {};
  },
  delete: async (id) => rmSync(folderOf(id), { recursive: true, force: true }),
};

const logGroup: ResourceDefinition = {
  inputs: ["name", "retentionInDays", "tags"],
  replaceOn: ["name"],
  check: autonamed,
  // The group is not stored: what a function logs is in functions/NAME/log.
  create: async ({ name }) => ({ id: name as string, outputs: { arn: arn("logs", `log-group:${name}`) } }),
  update: async () => ({}),
};

export const lambda: Record<string, ResourceDefinition> = {
  "aws:lambda/function:Function": lambdaFunction,
  "aws:cloudwatch/logGroup:LogGroup": logGroup,
};

function autonamed(inputs: Props, context: Parameters<typeof autoname>[2]): Props {
  return autoname(inputs, "name", context);
}

/** Writes a new folder of code, then replaces the definition that points to it atomically. */
function writeFunction(inputs: Props): void {
  const folder = folderOf(inputs.name as string);
  const revision = randomBytes(6).toString("hex");
  const code = join(folder, revision);
  writeCode(code, inputs.code as { archive?: { assets?: Record<string, Asset> } });
  const { variables = {} } = (inputs.environment ?? {}) as { variables?: Record<string, string> };
  const definition: Definition = {
    revision,
    node: process.execPath,
    code,
    handler: inputs.handler as string,
    role: inputs.role as string,
    timeout: inputs.timeout as number,
    variables,
  };
  const path = join(folder, "function.json");
  writeFileSync(`${path}.partial`, JSON.stringify(definition), { mode: 0o600 });
  renameSync(`${path}.partial`, path);
  for (const old of readdirSync(folder, { withFileTypes: true })) {
    if (old.isDirectory() && old.name !== revision) {
      rmSync(join(folder, old.name), { recursive: true });
    }
  }
}

function writeCode(folder: string, { archive }: { archive?: { assets?: Record<string, Asset> } }): void {
  mkdirSync(folder, { recursive: true });
  // Lambda's Node.js runtime includes the AWS SDK.
  rmSync(join(folder, "..", "node_modules"), { force: true });
  symlinkSync(join(ROOT, "node_modules"), join(folder, "..", "node_modules"));
  for (const [name, { asset }] of Object.entries(archive?.assets ?? {})) {
    const file = join(folder, name);
    mkdirSync(dirname(file), { recursive: true });
    if (asset?.path !== undefined) {
      copyFileSync(asset.path, file);
    } else if (asset?.text !== undefined) {
      writeFileSync(file, asset.text);
    } else {
      throw new InputError(
        "code",
        `must have a path or a text for ${name}; the local fake supports no other asset`,
      );
    }
  }
}

function folderOf(name: string): string {
  const state = process.env.QWEN3_LOCAL_STATE;
  if (!state) {
    throw new Error(
      "QWEN3_LOCAL_STATE is not set: the fake AWS provider runs through `npm start` and the tests",
    );
  }
  return join(state, "functions", name);
}
