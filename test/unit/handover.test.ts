import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { handoverCommand } from "../../scripts/handover/command";
import { FakeAws, type Invocation } from "./fakes/aws";
import { runCommand } from "./fakes/environment";

const OLD = "i-00000000000000001";
const NEW = "i-00000000000000002";
const ALLOCATION = "eipalloc-0123456789abcdef0";
const WORKERS = "every worker embeds, on its own port";
const MODEL = { QWEN3_MODEL_SOURCE: "s3://b/one", QWEN3_MODEL_SHA256: "", QWEN3_ACCELERATOR: "cuda" };
const PACE = { lookMs: 5, pollMs: 5, settleMs: 200 };

const printed = (document: unknown): Invocation => ({
  Status: "Success",
  StandardOutputContent: JSON.stringify(document),
  StandardErrorContent: "",
});
const failed = (StandardOutputContent: string, StandardErrorContent = ""): Invocation => ({
  Status: "Failed",
  StandardOutputContent,
  StandardErrorContent,
});
const row = (name: string, ok: boolean, evidence = "seen") => ({ name, about: "service", ok, evidence });

/** What each instance responds; a test replaces a part of it. */
interface Instance {
  check: () => Invocation;
  vectors: () => Invocation;
  drain: () => Invocation;
}

let aws: FakeAws;
let url: string;
let instances: Record<string, Instance>;

beforeEach(async () => {
  aws = new FakeAws();
  url = await aws.listen();
  const vectors = [
    [0.6, 0.8],
    [1, 0],
    [0, 1],
  ];
  const well = (): Instance => ({
    check: () => printed({ checks: [row(WORKERS, true), row("nginx's configuration", true)] }),
    vectors: () => printed({ model: MODEL, vectors }),
    drain: () => printed({ open: 0, seconds: 0.4 }),
  });
  instances = { [OLD]: well(), [NEW]: well() };
  aws.states = { [OLD]: "running", [NEW]: "running" };
  aws.holders = { [ALLOCATION]: OLD };
  aws.respond = (instanceId, command) => {
    const { check, vectors: embed, drain } = instances[instanceId]!;
    if (command.includes("-p warning")) {
      return { ...failed("qwen3-model: NoSuchKey"), Status: "Success" };
    }
    const run = command.includes("--vectors") ? embed : command.includes("qwen3-drain") ? drain : check;
    return run();
  };
});

afterEach(() => aws.close());

function handOver(variables: Record<string, string | undefined> = {}) {
  const env = {
    AWS_ENDPOINT_URL: url,
    AWS_ACCESS_KEY_ID: "AKIALOCALADMINISTRATOR",
    AWS_SECRET_ACCESS_KEY: "x",
    HANDOVER_INSTANCE_ID: NEW,
    HANDOVER_ALLOCATION_ID: ALLOCATION,
    HANDOVER_REGION: "us-east-1",
    HANDOVER_TIMEOUT_SECONDS: "2",
    HANDOVER_DRAIN_SECONDS: "30",
    ...variables,
  };
  return runCommand((context) => handoverCommand(context, PACE), ["--from-env"], env);
}

/** The programs that ran, in order, without repetitions: `ID program`. */
function ran(): string[] {
  const names = aws.commands.map(({ instanceId, command }) => {
    const [program = "journal"] =
      command.match(/qwen3-check --vectors|qwen3-drain --seconds \d+|qwen3-check/) ?? [];
    return `${instanceId === OLD ? "old" : "new"} ${program}`;
  });
  return names.filter((name, i) => name !== names[i - 1]);
}

describe("a new instance that serves", () => {
  test("gets the address once it passes its checks, agrees with the old one, and the old one has no requests", async () => {
    let looks = 0;
    const { check } = instances[NEW]!;
    instances[NEW]!.check = () => (looks++ < 3 ? failed("install: installing SGLang") : check());
    const { status, stdout } = await handOver();
    expect(status).toBe(0);
    expect(ran().filter((name) => !name.endsWith("--vectors"))).toEqual([
      "new qwen3-check",
      "old qwen3-drain --seconds 30",
    ]);
    expect(stdout).toMatch(/installing: install: installing SGLang/);
    expect(stdout).toMatch(/the same vectors for 3 texts, cosine 1\.000000/);
    expect(stdout).toMatch(/after 0\.4 s: 0 open connections/);
    expect(aws.holders[ALLOCATION]).toBe(NEW);
    expect(aws.states).toEqual({ [OLD]: "running", [NEW]: "running" });
  });

  test("is not compared if the model changed", async () => {
    instances[NEW]!.vectors = () =>
      printed({ model: { ...MODEL, QWEN3_MODEL_SOURCE: "s3://b/two" }, vectors: [[1, 0]] });
    const { status, stdout } = await handOver();
    expect(status).toBe(0);
    expect(stdout).toMatch(/not compared, because QWEN3_MODEL_SOURCE changed/);
  });

  test("is not compared with an old one of an earlier version, whose requests cannot be completed", async () => {
    const missing = () => failed("", "sh: 1: qwen3-drain: not found");
    Object.assign(instances[OLD]!, { vectors: missing, drain: missing });
    const { status, stdout } = await handOver();
    expect(status).toBe(0);
    expect(stdout).toMatch(/the vectors are not compared: .*not found/);
    expect(stdout).toMatch(/the move may cut some: .*not found/);
  });

  test("is not looked at if no instance has the address", async () => {
    aws.holders = {};
    expect((await handOver()).status).toBe(0);
    aws.holders = { [ALLOCATION]: OLD };
    aws.states[OLD] = "terminated";
    expect((await handOver()).status).toBe(0);
    expect(aws.commands).toEqual([]);
  });

  test("gets the address of a stopped instance once it passes its checks", async () => {
    aws.states[OLD] = "stopped";
    const { status } = await handOver();
    expect(status).toBe(0);
    expect(ran()).toEqual(["new qwen3-check"]);
    expect(aws.holders[ALLOCATION]).toBe(NEW);
  });

  test("is compared with an old one that refuses some requests", async () => {
    let refusals = 2;
    const { vectors } = instances[OLD]!;
    instances[OLD]!.vectors = () => (refusals-- > 0 ? failed("", "/v1/embeddings returns 503") : vectors());
    const { status, stdout } = await handOver();
    expect(status).toBe(0);
    expect(stdout).toMatch(/the same vectors for 3 texts/);
  });

  test("is not looked at if it has the address already", async () => {
    aws.holders = { [ALLOCATION]: NEW };
    const { status, stdout } = await handOver();
    expect([status, stdout]).toEqual([0, `${NEW} has the address already\n`]);
    expect(aws.commands).toEqual([]);
  });
});

describe("a new instance that does not serve", () => {
  /** It is terminated, and the old one was not touched. */
  async function refused(): Promise<string> {
    const { status, stderr } = await handOver();
    expect(status).toBe(1);
    expect(aws.states).toEqual({ [OLD]: "running", [NEW]: "terminated" });
    expect(aws.holders[ALLOCATION]).toBe(OLD);
    expect(ran()).not.toContain("old qwen3-drain --seconds 30");
    expect(stderr).toMatch(/qwen3-model: NoSuchKey/);
    expect(stderr).toMatch(new RegExp(`${OLD} keeps the address[\\s\\S]*npx pulumi up`));
    return stderr;
  }

  test("never passes its checks", async () => {
    instances[NEW]!.check = () => failed("qwen3-model: NoSuchKey");
    expect(await refused()).toMatch(/does not serve after 2 s: installing: qwen3-model: NoSuchKey/);
  });

  test("never has its agent online", async () => {
    aws.errors = Array(10_000).fill({ action: "SendCommand", type: "InvalidInstanceId" });
    const { status, stderr } = await handOver();
    expect(status).toBe(1);
    expect(stderr).toMatch(/its Systems Manager agent is not online yet[\s\S]*its journals cannot be read/);
    expect(aws.states[NEW]).toBe("terminated");
  });

  test("fails another check although its workers serve, long before the time limit", async () => {
    instances[NEW]!.check = () => ({
      ...printed({ checks: [row(WORKERS, true), row("nginx's configuration", false, "unknown directive")] }),
      Status: "Failed",
    });
    expect(await refused()).toMatch(/serves, but fails its checks: nginx's configuration: unknown directive/);
  });

  test.each([
    [
      "other vectors",
      [
        [0.8, 0.6],
        [1, 0],
        [0, 1],
      ],
      /other vectors .*cosine 0\.960000/,
    ],
    [
      "vectors of another length",
      [
        [0.6, 0.8, 0.1],
        [1, 0],
        [0, 1],
      ],
      /other vectors .*cosine NaN/,
    ],
  ])("returns %s", async (_, vectors, expected) => {
    instances[NEW]!.vectors = () => printed({ model: MODEL, vectors });
    expect(await refused()).toMatch(expected);
  });

  test("cannot compute vectors", async () => {
    instances[NEW]!.vectors = () => failed("", "qwen3-check: /v1/embeddings returns 503");
    expect(await refused()).toMatch(/returns 503/);
  });

  test("ends while the update waits", async () => {
    instances[NEW]!.check = () => {
      aws.states[NEW] = "terminated";
      return failed("install: installing SGLang");
    };
    expect(await refused()).toMatch(/is terminated and never served/);
  });

  test("cannot be terminated, and its reason is still printed", async () => {
    instances[NEW]!.check = () => failed("qwen3-model: NoSuchKey");
    aws.errors = [{ action: "TerminateInstances", type: "UnauthorizedOperation", message: "not allowed" }];
    const { status, stderr } = await handOver();
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /does not serve after 2 s[\s\S]*runs and is billed: it cannot be terminated: not allowed/,
    );
  });

  test("was terminated by an update before", async () => {
    aws.states[NEW] = "terminated";
    const { status, stderr } = await handOver();
    expect(status).toBe(1);
    expect(stderr).toMatch(/was terminated[\s\S]*stays where it is[\s\S]*npx pulumi up again/);
    expect(aws.commands).toEqual([]);
  });
});

describe("an older instance that gets the address back", () => {
  beforeEach(() => {
    // The change is undone: the "new" one was launched first.
    aws.states = { [NEW]: "running", [OLD]: "running" };
  });

  test("is checked, and not compared with the one that was wrong", async () => {
    instances[OLD]!.vectors = () => printed({ model: MODEL, vectors: [[0, 1]] });
    expect((await handOver()).status).toBe(0);
    expect(ran()).toEqual(["new qwen3-check", "old qwen3-drain --seconds 30"]);
    expect(aws.holders[ALLOCATION]).toBe(NEW);
  });

  test("is never terminated", async () => {
    instances[NEW]!.check = () => failed("the disks are full");
    const { status, stderr } = await handOver();
    expect(status).toBe(1);
    expect(stderr).toMatch(/does not serve after 2 s/);
    expect(aws.states).toEqual({ [NEW]: "running", [OLD]: "running" });
  });
});

describe("a deployer who may not do it", () => {
  test.each(["SendCommand", "GetCommandInvocation"])("%s: both instances remain", async (action) => {
    aws.errors = Array(99).fill({ action, type: "AccessDeniedException", message: `no ${action}` });
    const { status, stderr } = await handOver();
    expect(status).toBe(1);
    expect(stderr).toMatch(new RegExp(`no ${action}\\. Both instances run, and ${OLD} keeps the address`));
    expect(aws.states).toEqual({ [OLD]: "running", [NEW]: "running" });
  });

  test("AssociateAddress: the old instance serves as before", async () => {
    aws.errors = [{ action: "AssociateAddress", type: "UnauthorizedOperation", message: "not allowed" }];
    const { status, stderr } = await handOver();
    expect(status).toBe(1);
    expect(stderr).toMatch(/not allowed/);
    expect(aws.commands.at(-1)).toEqual({ instanceId: OLD, command: "/usr/local/sbin/qwen3-drain --end" });
  });
});

test.each([
  ["HANDOVER_INSTANCE_ID", undefined, /HANDOVER_INSTANCE_ID is not set: an instance's ID/],
  ["HANDOVER_INSTANCE_ID", "i", /HANDOVER_INSTANCE_ID is "i"; allowed: an instance's ID/],
  ["HANDOVER_ALLOCATION_ID", "", /HANDOVER_ALLOCATION_ID is ""; allowed: the allocation ID/],
  ["HANDOVER_DRAIN_SECONDS", "-1", /HANDOVER_DRAIN_SECONDS is "-1"; allowed: a whole number of seconds/],
])("%s = %s is refused", async (name, value, expected) => {
  const { status, stderr } = await handOver({ [name]: value });
  expect(status).toBe(2);
  expect(stderr).toMatch(expected);
});
