import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { publishModel } from "../../local/model";
import { added, startProviderEmulator } from "./emulator";
import { ENVIRONMENTS } from "./environments";
import { type Recording, record } from "./record";
import type { ProviderSchema } from "./schema";
import { type Change, findTools, Terraform, type Tools } from "./terraform";
import { translate } from "./translate";

/** What became of one environment. */
interface Outcome {
  /** Resources of AWS that the program asks for. */
  asked: string[];
  inState: string[];
  secondPlan: Change[];
  rotation: Change[];
  /** In the emulator after the destroy and not before the first apply. */
  left: Record<string, string[]>;
}

const folder = mkdtempSync(join(tmpdir(), "qwen3-provider-"));
const outcomes: Record<string, Promise<Outcome>> = {};

beforeAll(async () => {
  const tools = findTools();
  if (typeof tools === "string") {
    throw new Error(`this layer cannot run: ${tools}`);
  }
  const { schema, file } = await readSchema(tools);
  const recordings: Record<string, Recording> = {};
  // The engine's settings are this process's own: one at a time.
  for (const [name, environment] of Object.entries(ENVIRONMENTS)) {
    recordings[name] = await record(environment, file);
  }
  for (const [name, recording] of Object.entries(recordings)) {
    outcomes[name] = live(tools, name, recording, schema);
    // Whichever test awaits it first reports it.
    outcomes[name].catch(() => undefined);
  }
});

afterAll(async () => {
  await Promise.allSettled(Object.values(outcomes));
  rmSync(folder, { recursive: true, force: true });
});

describe.each(Object.keys(ENVIRONMENTS))("AWS's own provider, with %s", (name) => {
  it("creates every resource that the program asks for", async () => {
    const { asked, inState } = await outcomes[name]!;
    expect(asked.length).toBeGreaterThan(20);
    expect(inState).toEqual(asked);
  });

  it("has nothing to do a second time", async () => {
    expect((await outcomes[name]!).secondPlan).toEqual([]);
  });

  it("rotates a key by changing its secret's version alone", async () => {
    expect((await outcomes[name]!).rotation).toEqual([
      {
        address: expect.stringMatching(/^aws_secretsmanager_secret_version\..*-default$/),
        actions: ["create", "delete"],
      },
    ]);
  });

  it("leaves nothing behind but secrets that can be restored", async () => {
    const { left, asked } = await outcomes[name]!;
    const secrets = asked.filter((address) => address.startsWith("aws_secretsmanager_secret."));
    const restorable = name === "local" ? 0 : secrets.length;
    expect(left).toEqual(
      restorable === 0
        ? {}
        : { "secretsmanager.restorable": expect.objectContaining({ length: restorable }) },
    );
  });
});

async function readSchema(tools: Tools): Promise<{ schema: ProviderSchema; file: string }> {
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

/** The whole life of an environment in an account of its own. */
async function live(
  tools: Tools,
  name: string,
  recording: Recording,
  schema: ProviderSchema,
): Promise<Outcome> {
  const work = join(folder, name);
  mkdirSync(work);
  const configuration = translate(recording, schema);
  const emulator = await startProviderEmulator();
  try {
    if (name === "local") {
      await publishModel(emulator.url);
    }
    const terraform = new Terraform(tools, work, emulator.url);
    await terraform.init(configuration);
    const before = await emulator.census();
    await terraform.plan();
    await terraform.applyPlan();
    const inState = (await terraform.list()).filter((address) => !address.startsWith("data."));
    const secondPlan = await terraform.plan();
    const password = Object.keys(configuration.variable).find((each) =>
      /RandomPassword.*-default_result$/.test(each),
    )!;
    const rotation = await terraform.plan({ [password]: "the next password" });
    await terraform.applyPlan();
    await terraform.destroy();
    const asked = Object.entries(configuration.resource)
      .flatMap(([type, resources]) => Object.keys(resources).map((resource) => `${type}.${resource}`))
      .sort();
    return { asked, inState, secondPlan, rotation, left: added(before, await emulator.census()) };
  } finally {
    await emulator.stop();
  }
}
