import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { Lambda } from "@aws-sdk/client-lambda";
import { hasUnknown, InputError, type ResourceDefinition } from "../framework";
import { lazily } from "./account";
import { resource } from "./resource";

const lambda = lazily(Lambda);

/** What the emulator runs (local/aws/function.mjs). */
const RUNTIME = "nodejs24.x";

interface Archive {
  archive?: { assets?: Record<string, { asset?: { path?: string; text?: string } }> };
}

export const lambdaResources: Record<string, ResourceDefinition> = {
  "aws:lambda/function:Function": resource({
    inputs: [
      ...([
        "name",
        "description",
        "role",
        "runtime",
        "architectures",
        "handler",
        "code",
        "memorySize",
      ] as const),
      ...(["timeout", "environment", "loggingConfig", "tags"] as const),
    ],
    replaceOn: ["name"],
    autonamed: true,
    check: (inputs) => {
      if (!hasUnknown(inputs.runtime) && inputs.runtime !== RUNTIME) {
        throw new InputError(
          "runtime",
          `is ${String(inputs.runtime)}; the local fake supports only ${RUNTIME}`,
        );
      }
      return inputs;
    },
    create: async ({ name, code, architectures, tags, ...inputs }) => {
      const { FunctionArn } = await lambda().createFunction({
        ...configuration(name, inputs),
        Code: { ZipFile: zip(code) },
        Architectures: architectures,
        Tags: tags,
      });
      return { id: name, arn: FunctionArn };
    },
    update: async ({ id, code, ...inputs }) => {
      await lambda().updateFunctionCode({ FunctionName: id, ZipFile: zip(code) });
      await lambda().updateFunctionConfiguration(configuration(id, inputs));
    },
    delete: ({ id }) => lambda().deleteFunction({ FunctionName: id }),
  }),
};

// biome-ignore lint/suspicious/noExplicitAny: as in resource.ts
const configuration = (FunctionName: string, inputs: Record<string, any>) => ({
  FunctionName,
  Description: inputs.description,
  Role: inputs.role,
  Runtime: inputs.runtime,
  Handler: inputs.handler,
  MemorySize: inputs.memorySize,
  Timeout: inputs.timeout,
  Environment: { Variables: inputs.environment?.variables ?? {} },
});

/** Reads base64 by file name. The same files make the same archive. */
const MAKE_ZIP = `
import base64, io, json, sys, zipfile
out = io.BytesIO()
with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
    for name, content in sorted(json.load(sys.stdin).items()):
        archive.writestr(zipfile.ZipInfo(name), base64.b64decode(content))
sys.stdout.buffer.write(out.getvalue())
`;

/** The archive as a zip file, made by Python's standard library; Node's has none. */
export function zip({ archive }: Archive): Uint8Array {
  const files = Object.entries(archive?.assets ?? {}).map(([name, { asset }]) => {
    const content = asset?.path === undefined ? asset?.text : readFileSync(asset.path);
    if (content === undefined) {
      throw new InputError(
        "code",
        `must have a path or a text for ${name}; the local fake supports no other asset`,
      );
    }
    return [name, Buffer.from(content).toString("base64")];
  });
  const made = spawnSync("python3", ["-c", MAKE_ZIP], {
    input: JSON.stringify(Object.fromEntries(files)),
    maxBuffer: 256 * 1024 * 1024,
  });
  if (made.status !== 0) {
    throw new Error(`code: python3 could not make the zip file: ${made.error?.message ?? made.stderr}`);
  }
  return made.stdout;
}
