import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { imageCommand } from "../../scripts/image/command";
import { roll } from "../../scripts/image/roll";
import type { Stack, StackOutputs } from "../../scripts/lib/stack";
import type { Engine, Step } from "../../scripts/rotate/engine";
import { FakeAccount, healthyAccount } from "./fakes/account";
import { FakeHome, runCommand, stackAnswers, stackOutputs } from "./fakes/environment";

const DAY_MS = 24 * 3600 * 1000;
const STASH = "urn:pulumi:local::qwen3-embedding-stack::pulumi:index:Stash::qwen3-image";
const INSTANCE = "urn:pulumi:local::qwen3-embedding-stack::aws:ec2/instance:Instance::qwen3";
const OLD = "ami-00000000000000001";
const MIDDLE = "ami-00000000000000002";
const LATEST = "ami-00000000000000003";

/** So many days before now. */
const ago = (days: number) => new Date(Date.now() - days * DAY_MS - 60_000).toISOString();

/** An image of AWS, created so many days ago. */
const image = (days: number, name: string) => ({
  ...Object.values(healthyAccount().images)[0]!,
  created: ago(days),
  name,
});

const account = new FakeAccount();
let url: string;

beforeAll(async () => {
  url = await account.listen();
});
afterAll(() => account.close());
beforeEach(() => {
  account.state = healthyAccount();
  account.state.parameter = LATEST;
  account.state.images = {
    [OLD]: image(70, "GPU image (Ubuntu 24.04) 20260919"),
    [MIDDLE]: image(40, "GPU image (Ubuntu 24.04) 20261019"),
    [LATEST]: image(10, "GPU image (Ubuntu 24.04) 20261118"),
    "ami-00000000000000009": image(1, "GPU image (Ubuntu 22.04) 20261127"),
  };
});

/** Runs the command for a stack with these outputs, in addition to the usual ones. */
async function run(outputs: Partial<StackOutputs>, ...argv: string[]) {
  const home = new FakeHome(url, stackAnswers({ ...stackOutputs("https://192.0.2.1/v1", ""), ...outputs }));
  try {
    return await runCommand(imageCommand, ["--stack", "local", ...argv], home.env);
  } finally {
    home.remove();
  }
}

const kept = (imageId: string) => ({ imageId, imageUrn: STASH });

describe("npm run image", () => {
  it("shows the image, its age, and what is newer", async () => {
    const { status, stdout } = await run(kept(OLD));
    expect(status).toBe(0);
    expect(stdout.split("\n")).toEqual([
      expect.stringMatching(
        `^Image of stack local, kept by the stack: ${OLD}, 20..-..-.., 70 days old \\(GPU`,
      ),
      expect.stringMatching(`^AWS's latest: ${LATEST}, 20..-..-.., 10 days old \\(.* 20261118\\)$`),
      "Releases since: 2 (listed with --json)",
      "To move to AWS's latest image: npm run image -- --stack local --roll",
      "",
    ]);
  });

  it("says that there is nothing newer", async () => {
    const { status, stdout } = await run(kept(LATEST), "--check", "--max-age", "1");
    expect(status).toBe(0);
    expect(stdout).toMatch(/It is AWS's latest\.\n$/);
  });

  it("prints one JSON document", async () => {
    account.state.images[OLD]!.deprecated = ago(1);
    const { status, stdout } = await run({ imageId: OLD }, "--json", "--check");
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ stack: "local", region: "us-east-1", ok: false, imageId: OLD, selectedBy: "imageId" },
      problems: [expect.stringContaining("deprecated since"), expect.stringContaining("70 days old")],
      image: { id: OLD, ageDays: 70, deprecated: expect.any(String) },
      latest: { id: LATEST, ageDays: 10 },
      newer: [{ id: MIDDLE }, { id: LATEST }],
    });
  });

  it.each([
    ["is older than 60 days", kept(OLD), [], /70 days old, more than 60, .*released 2 since\. .*--roll\n$/],
    ["is older than --max-age", kept(MIDDLE), ["--max-age", "39"], /40 days old, more than 39/],
    ["of the setting is old", { imageId: OLD }, [], /The setting imageId selects it: npx pulumi config set/],
  ])("--check fails with a sentence if the image %s", async (_, outputs, argv, says) => {
    const { status, stderr } = await run(outputs, "--check", ...argv);
    expect(status).toBe(1);
    expect(stderr).toMatch(says);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });

  it("--check fails for an image that AWS has withdrawn, or deprecated, at any age", async () => {
    expect((await run(kept(MIDDLE), "--check")).status).toBe(0);
    account.state.images[MIDDLE]!.deprecated = ago(0);
    expect(await run(kept(MIDDLE), "--check")).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(`${MIDDLE} is deprecated since`),
    });
    delete account.state.images[MIDDLE];
    expect(await run(kept(MIDDLE), "--check")).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(`AWS no longer has ${MIDDLE}`),
    });
  });

  it("says what to do for a stack that an earlier version deployed", async () => {
    expect(await run({})).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/has no output imageId.*run npx pulumi up -s local/),
    });
  });

  it("rejects --max-age 0, and --roll with --check", async () => {
    expect(await run(kept(OLD), "--max-age", "0")).toMatchObject({
      status: 2,
      stderr: 'image: --max-age is "0"; allowed: a whole number from 1 to 3650\n',
    });
    expect((await run(kept(OLD), "--roll", "--check")).status).toBe(2);
  });
});

describe("the roll", () => {
  const release = (id: string, days: number) => ({ id, name: id, created: new Date(ago(days)) });
  const found = { id: OLD, current: release(OLD, 70), latest: release(LATEST, 10), newer: [] };
  const step = (urn: string, operation = "replace", properties: string[] = []): Step => ({
    urn,
    operation,
    properties,
  });
  let said: string[];
  let updated: (string | undefined)[];

  /** Rolls with an engine that plans these steps, without and with the replacement. */
  async function rolled(
    plans: { pending?: Step[]; rolled?: Step[]; fails?: string },
    outputs: Partial<StackOutputs> = kept(OLD),
    survey = found,
  ) {
    said = [];
    updated = [];
    const engine: Engine = {
      plan: async (replace) =>
        (replace ? plans.rolled : plans.pending) ?? (replace ? [step(STASH), step(INSTANCE)] : []),
      update: async (replace) => {
        updated.push(replace);
        if (plans.fails) {
          throw new Error(plans.fails);
        }
        return [];
      },
    };
    const stack = { name: "local", outputs } as unknown as Stack;
    return roll(
      stack,
      survey,
      async () => engine,
      (line) => said.push(line),
      true,
    );
  }

  it("replaces the stash, and says what it replaces and how to return", async () => {
    expect(await rolled({})).toBe(true);
    expect(updated).toEqual([STASH]);
    expect(said.join("\n")).toMatch(
      /From ami-\S*1 to ami-\S*3.*\n.*Stash.*\n.*replace +aws:ec2\/instance:Instance/,
    );
    expect(said.at(-1)).toContain(`npx pulumi config set imageId ${OLD} -s local`);
  });

  it("changes nothing while another change is pending, and shows it", async () => {
    const pending = [step(INSTANCE, "replace", ["userData"])];
    await expect(rolled({ pending })).rejects.toThrow(
      /pending changes, which a roll would deploy as well[\s\S]*replace +aws:ec2\/instance:Instance {2}qwen3 {2}\(userData\)/,
    );
    expect(updated).toEqual([]);
  });

  it("changes nothing if the engine would not replace the stash", async () => {
    await expect(rolled({ rolled: [step(INSTANCE)] })).rejects.toThrow(/would not replace urn:/);
    expect(updated).toEqual([]);
  });

  it("changes nothing if the setting selects the image, or the image is the latest", async () => {
    await expect(rolled({}, { imageId: OLD })).rejects.toThrow(/setting imageId of stack local is ami-/);
    expect(await rolled({}, kept(LATEST), { ...found, id: LATEST })).toBe(true);
    expect(updated).toEqual([]);
  });

  it("says how to continue and how to return if the update fails", async () => {
    await expect(rolled({ fails: "no capacity" })).rejects.toThrow(
      new RegExp(`npx pulumi up -s local, which continues it[\\s\\S]*imageId ${OLD}[\\s\\S]*no capacity`),
    );
  });
});
