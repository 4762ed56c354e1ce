import { Provider } from "@pulumi/aws/provider";
import type { EngineEvent, Stack } from "@pulumi/pulumi/automation";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EmbeddingService } from "../../components";
import { unsupported } from "../../local/preflight";
import { runProgram } from "../../scripts/lib/program";
import { type EngineEnvironment, startEngineEnvironment, type Variant } from "./environment";

/** The emulator's image, and AWS's next two releases. */
const [FIRST, SECOND, THIRD] = ["ami-0123456789abcdef0", "ami-00000000000000002", "ami-00000000000000003"];
const SETTING = "qwen3-embedding-stack:";

const INSTANCE = { type: "aws:ec2/instance:Instance", property: "ami" };
const TEMPLATE = { type: "aws:ec2/launchTemplate:LaunchTemplate", property: "imageId" };
const FLEET: Variant = {
  configuration: "Pulumi.local.yaml",
  values: { domain: "embeddings.example.com", instancesMin: 2, instancesMax: 2 },
};

/** What one resource of the stack's state has as its image. */
async function imageOf(stack: Stack, { type, property }: typeof INSTANCE): Promise<unknown> {
  const { deployment } = await stack.exportStack();
  const found = (deployment.resources as { type: string; inputs: Record<string, unknown> }[]).filter(
    (resource) => resource.type === type,
  );
  expect(found).toHaveLength(1);
  return found[0]!.inputs[property];
}

/** `OPERATION TYPE` of every step of an update that changed something. */
async function update(stack: Stack, options: { replace?: string[] } = {}): Promise<string[]> {
  const events: EngineEvent[] = [];
  await stack.up({ ...options, onEvent: (event) => events.push(event) });
  return events
    .flatMap(({ resourcePreEvent }) => (resourcePreEvent ? [resourcePreEvent.metadata] : []))
    .filter(({ op }) => !["same", "read", "refresh"].includes(op))
    .map(({ op, type }) => `${op} ${type.split(":").at(-1)}`);
}

async function unchanged(stack: Stack): Promise<void> {
  const { changeSummary } = await stack.preview({ expectNoChanges: true });
  expect(Object.keys(changeSummary)).toEqual(["same"]);
}

const set = (stack: Stack, name: string, value: string) => stack.setConfig(`${SETTING}${name}`, { value });

describe.skipIf(unsupported() !== undefined).each<{
  what: string;
  variant?: Variant;
  holder: typeof INSTANCE;
  /** What an edit of the instance does to the holder of the image. */
  edited: string;
  /** What another image does to it. */
  rolled: string;
}>([
  {
    what: "an instance",
    holder: INSTANCE,
    edited: "create Instance",
    rolled: "create-replacement Instance",
  },
  {
    what: "a fleet's launch template",
    variant: FLEET,
    holder: TEMPLATE,
    edited: "update LaunchTemplate",
    rolled: "update LaunchTemplate",
  },
])("the image of $what on the real engine", ({ variant, holder, edited, rolled }) => {
  let environment: EngineEnvironment;
  let stack: Stack;

  beforeAll(async () => {
    environment = await startEngineEnvironment(variant);
    stack = environment.stack;
  });
  afterAll(async () => {
    await environment?.stop();
  });

  it("is AWS's latest in the first update", async () => {
    await update(stack);
    expect(await imageOf(stack, holder)).toBe(FIRST);
    expect(await stack.outputs()).toMatchObject({
      imageId: { value: FIRST },
      imageUrn: { value: expect.stringMatching(/pulumi:index:Stash::qwen3-embedding-engine-image$/) },
    });
  });

  it("is no pending change once AWS has released another one", async () => {
    environment.aws.latestImage = SECOND;
    await unchanged(stack);
  });

  it("remains when an edit makes other instances", async () => {
    await set(stack, "maxInputs", "512");
    expect(await update(stack)).toContain(edited);
    expect(await imageOf(stack, holder)).toBe(FIRST);
    await unchanged(stack);
  });

  it("becomes the latest when its URN is replaced, which changes nothing but the instances", async () => {
    const { imageUrn } = await stack.outputs();
    const steps = await update(stack, { replace: [imageUrn!.value] });
    expect(steps).toEqual(expect.arrayContaining(["replace Stash", rolled]));
    expect(
      steps.filter((step) => !/ (Stash|Instance|EipAssociation|LaunchTemplate|Group|Command)$/.test(step)),
    ).toEqual([]);
    expect(await imageOf(stack, holder)).toBe(SECOND);
    expect((await stack.outputs()).imageId!.value).toBe(SECOND);
    environment.aws.latestImage = THIRD;
    await unchanged(stack);
  });

  it("is the one of the setting where it is set, and AWS's latest again without it", async () => {
    await set(stack, "imageId", FIRST!);
    expect(await update(stack)).toContain("delete Stash");
    expect(await imageOf(stack, holder)).toBe(FIRST);
    expect(await stack.outputs()).not.toHaveProperty("imageUrn");
    await stack.removeConfig(`${SETTING}imageId`);
    await update(stack);
    expect(await imageOf(stack, holder)).toBe(THIRD);
    await stack.destroy();
    expect((await stack.exportStack()).deployment.resources ?? []).toEqual([]);
  });

  if (variant !== undefined) {
    return;
  }

  it("is kept as well for a component with an explicit provider", async () => {
    stack.workspace.program = async () => {
      const provider = new Provider("ireland", { region: "eu-west-1" });
      const args = { allowedCidrs: ["203.0.113.0/24"], awsEndpointUrl: environment.aws.url };
      const { imageId, imageUrn } = new EmbeddingService(
        "another",
        { endpoint: { kind: "address" }, ...args },
        { provider },
      );
      return { imageId, imageUrn };
    };
    await update(stack);
    environment.aws.latestImage = SECOND;
    await unchanged(stack);
    expect(await imageOf(stack, INSTANCE)).toBe(THIRD);
    await update(stack, { replace: [(await stack.outputs()).imageUrn!.value] });
    expect(await imageOf(stack, INSTANCE)).toBe(SECOND);
    await stack.destroy();
    stack.workspace.program = runProgram;
  });
});
