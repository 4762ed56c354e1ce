import { beforeEach, describe, expect, test } from "vitest";
import { engineOf, type Step } from "../../scripts/rotate/engine";
import { judgePending } from "../../scripts/rotate/plan";
import { warningsIn } from "../../scripts/rotate/warnings";
import { formatTable } from "../../scripts/verify/report";
import type { Row } from "../../scripts/verify/row";
import type { FakeInstance } from "./fakes/aws";
import { makeCertificates } from "./fakes/certificates";
import { INSTANCE_ROWS, Scene, success } from "./fakes/scene";

const scene = Scene.use();
const options = { failOn: "keys" } as const;

const WORKER_DOWN: Row = {
  name: "every worker embeds, on its own port",
  about: "service",
  ok: false,
  evidence: "qwen3-embed@1.service: the unit is failed",
  next: "journalctl -u 'qwen3-embed@*'",
};
const AGENT_STALE: Row = {
  name: "the key agent follows Secrets Manager",
  about: "keys",
  ok: false,
  evidence: "since yesterday not everything can be read",
  next: "journalctl -u qwen3-keys",
};

describe("verification of a change of keys alone", () => {
  test("passes a correct endpoint without warnings", async () => {
    const { rows } = await scene.run({ options });
    expect(rows.filter(({ ok, warning }) => !ok || warning)).toEqual([]);
  });

  test("waits for no worker", async () => {
    await scene.run({ options });
    expect(scene.aws.commands).toEqual([
      { instanceId: "i-0123456789abcdef0", command: "/usr/local/sbin/qwen3-check --json --wait 0" },
    ]);
  });

  test("warns of a certificate that ends soon", async () => {
    const served = makeCertificates("IP:127.0.0.1", { certificate: 50 });
    const { rows } = await scene.run({ options, served, target: { caCertificate: served.ca } });
    expect(notOk(rows)).toEqual([["the certificate is valid for 60 days", true]]);
  });

  test("warns of a worker that is down, and fails for a key agent that is stale", async () => {
    scene.aws.invocations = [{ ...success([WORKER_DOWN, AGENT_STALE]), Status: "Failed" }];
    const { rows } = await scene.run({ options });
    expect(notOk(rows)).toEqual([
      [WORKER_DOWN.name, true],
      [AGENT_STALE.name, false],
    ]);
  });

  test.each([
    ["open without a key", "a missing key is refused", false],
    ["open with any key", "a wrong key is refused", false],
    ["last character of a key ignored", "a key with one change is refused", false],
    ["no allow", "other methods are not allowed", true],
    ["any model served", "an unknown field or model is refused", true],
    ["unnormalized", "an embedding is complete", true],
    ["no usage", "usage counts every token", true],
    ["one worker differs", "every worker returns the same vector", true],
  ] as const)("%s", async (fault, name, warning) => {
    const { rows } = await scene.run({ options, fault });
    expect(notOk(rows)[0]).toEqual([name, warning]);
    expect(new Set(notOk(rows).map(([, warns]) => warns))).toEqual(new Set([warning]));
  });

  test("fails if the endpoint is not ready, or an instance cannot be checked", async () => {
    const starting = await scene.run({ options, fault: "starting", target: { timeoutSeconds: 0.03 } });
    expect(notOk(starting.rows)).toEqual([["the endpoint is ready", false]]);
    scene.aws.errors = Array(99).fill({ action: "SendCommand", type: "InvalidInstanceId" });
    const { rows } = await scene.run({ options });
    expect(notOk(rows)).toEqual([["the checks on the instance", false]]);
  });
});

describe("of a fleet", () => {
  const GROUP = "qwen3-embedding-test";
  const instance: FakeInstance = { id: "i-0a", version: "7", state: "InService", health: "Healthy" };
  const target = { instanceId: undefined, autoScalingGroup: GROUP, caCertificate: "" };
  const fleet = { ...options, publicRoots: [] as string[], fleetPollMs: 5 };

  beforeEach(() => {
    fleet.publicRoots = [scene.certificates.ca];
  });

  test("warns of a replacement in progress, without waiting for it", async () => {
    scene.aws.groups[GROUP] = [
      { desired: 2, version: "7", instances: [instance], refresh: { status: "InProgress", percent: 50 } },
      { desired: 1, version: "7", instances: [instance] },
    ];
    const { rows } = await scene.run({ target, options: fleet });
    expect(notOk(rows)).toEqual([["every instance of the fleet is current", true]]);
    expect(rows.find(({ warning }) => warning)?.evidence).toMatch(/^instances are being replaced, 50 %/);
    expect(scene.aws.commands.map(({ instanceId }) => instanceId)).toEqual(["i-0a"]);
  });

  test("fails if no instance is in service, because then no key was checked on one", async () => {
    scene.aws.groups[GROUP] = [{ desired: 1, version: "7", instances: [] }];
    const { rows } = await scene.run({ target, options: fleet });
    expect(notOk(rows)).toEqual([["every instance of the fleet is current", false]]);
  });
});

describe("the report of warnings", () => {
  test("exits with 0, and says how many there are and what to do", async () => {
    scene.aws.invocations = [{ ...success([WORKER_DOWN, INSTANCE_ROWS[1]]), Status: "Failed" }];
    const { status, stdout } = await scene.command({ flags: ["--fail-on", "keys"] });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^! every worker embeds, on its own port +qwen3-embed@1.*\n +→ journalctl/m);
    expect(stdout.trimEnd().split("\n").slice(-2)).toEqual([
      expect.stringMatching(/^1 warning, marked !: not about keys/),
      "27 passed, 0 failed, 1 warned, 0 skipped",
    ]);
  });

  test("counts them in the JSON document, with the rows", async () => {
    scene.aws.invocations = [{ ...success([WORKER_DOWN, AGENT_STALE]), Status: "Failed" }];
    const { status, stdout } = await scene.command({ flags: ["--fail-on", "keys", "--json"] });
    expect(status).toBe(1);
    const { rows, ...counts } = JSON.parse(stdout);
    expect(counts).toMatchObject({ ok: false, passed: 26, failed: 1, warnings: 1, skipped: 0 });
    expect(rows.slice(-2)).toEqual([
      { ...WORKER_DOWN, warning: true },
      { ...AGENT_STALE, warning: false },
    ]);
  });

  test("fails without the option", async () => {
    scene.aws.invocations = [{ ...success([WORKER_DOWN]), Status: "Failed" }];
    expect((await scene.command()).status).toBe(1);
  });
});

describe("rotate", () => {
  /** The engine prints each line of the verification, indented. */
  const printed = (rows: Row[]) => formatTable(rows, "not about keys").replace(/^/gm, "    ");
  const rows = [{ ...WORKER_DOWN, warning: true }, AGENT_STALE, ...INSTANCE_ROWS];

  test("is not refused because the last verification failed, but because of any other pending change", () => {
    const urn = "urn:pulumi:s::p::random:index/randomPassword:RandomPassword::key";
    const step = (type: string): Step => ({
      urn: `urn:pulumi:s::p::x$${type}::key`,
      operation: "replace",
      properties: [],
    });
    const verification = step("command:local:Command");
    expect(judgePending([verification], urn, "s")).toBe("ready");
    expect(judgePending([verification, { ...verification, urn }], urn, "s")).toBe("interrupted");
    expect(() => judgePending([verification, step("aws:ec2/instance:Instance")], urn, "s")).toThrow(
      /pending changes other than the key/,
    );
  });

  test("finds the warnings in the engine's output, once", () => {
    expect(warningsIn(printed(rows) + printed(rows))).toEqual([
      `  ! ${WORKER_DOWN.name}  ${WORKER_DOWN.evidence}\n    → ${WORKER_DOWN.next}`,
    ]);
    expect(warningsIn(printed(INSTANCE_ROWS))).toEqual([]);
  });

  test("finds what to do about evidence of several lines", () => {
    const evidence = "[emerg] unknown directive\nnginx: test failed\n";
    expect(warningsIn(printed([{ ...WORKER_DOWN, warning: true, evidence }]))).toEqual([
      `  ! ${WORKER_DOWN.name}  [emerg] unknown directive; nginx: test failed\n    → ${WORKER_DOWN.next}`,
    ]);
  });

  test("gets them from the update, whose output it passes on", async () => {
    const written: string[] = [];
    const stack = {
      up: async ({ onOutput }: { onOutput(text: string): void }) => {
        // In pieces that end anywhere.
        for (const piece of printed(rows).match(/[\s\S]{1,50}/g) ?? []) {
          onOutput(piece);
        }
      },
    };
    const engine = engineOf(stack as unknown as Parameters<typeof engineOf>[0], (text) => written.push(text));
    expect(await engine.update()).toHaveLength(1);
    expect(written.join("")).toBe(printed(rows));
  });
});

/** The rows that did not pass, with whether each is only a warning. */
function notOk(rows: Row[]): [string, boolean][] {
  return rows.filter(({ ok }) => ok === false).map(({ name, warning = false }) => [name, warning]);
}
