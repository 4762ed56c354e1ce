import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { publicCertificateChecks } from "../../scripts/verify/certificateChecks";
import { addressOf } from "../../scripts/verify/handshake";
import { runCheck } from "../../scripts/verify/row";
import type { FakeInstance } from "./fakes/aws";
import { makeCertificates } from "./fakes/certificates";
import { FakeEndpoint } from "./fakes/endpoint";
import { INSTANCE_ROWS, KEY, only, Scene, success } from "./fakes/scene";

const scene = Scene.use();

describe("the checks on the instance", () => {
  test("waits for the agent and the invocation", async () => {
    scene.aws.errors = [
      { action: "SendCommand", type: "InvalidInstanceId" },
      { action: "GetCommandInvocation", type: "InvocationDoesNotExist" },
    ];
    scene.aws.invocations = [{ ...success([]), Status: "InProgress" }, success(INSTANCE_ROWS)];
    // The checks from outside keep this process busy meanwhile.
    const { rows } = await scene.run({
      options: { instance: { pollMs: 5, onlineMs: 10_000, checkMs: 10_000 } },
    });
    expect(rows.slice(-2)).toEqual(INSTANCE_ROWS);
  });

  test("shows a failed row with the instance's own next step, and no next step of others", async () => {
    const next = "rotate the key";
    const found = { name: "no key in a file", about: "keys", ok: false, evidence: "/tmp/notes", next };
    scene.aws.invocations = [{ ...success([{ ...INSTANCE_ROWS[0], next }, found]), Status: "Failed" }];
    const { rows } = await scene.run();
    expect(rows.slice(-2)).toEqual([INSTANCE_ROWS[0], found]);
  });

  test("shows a row that the instance skipped", async () => {
    const skipped = {
      name: "the clock is synchronized",
      about: "service",
      ok: null,
      evidence: "a container",
    };
    scene.aws.invocations = [success([skipped])];
    const { rows } = await scene.run();
    expect(rows.at(-1)).toEqual(skipped);
  });

  test.each<[string, () => void, RegExp, RegExp]>([
    [
      "is not allowed",
      () => (scene.aws.errors = [{ action: "SendCommand", type: "AccessDeniedException" }]),
      /not allowed/,
      /ssm:SendCommand.*ssm:GetCommandInvocation/,
    ],
    [
      "finds no agent",
      () => (scene.aws.errors = Array(99).fill({ action: "SendCommand", type: "InvalidInstanceId" })),
      /agent is offline/,
      /amazon-ssm-agent/,
    ],
    [
      "finds no program",
      () =>
        (scene.aws.invocations = [
          {
            Status: "Failed",
            StandardOutputContent: "",
            StandardErrorContent: "sh: 1: /usr/local/sbin/qwen3-check: not found",
          },
        ]),
      /reported nothing \(Failed\): sh: 1: .*not found/,
      /earlier version .*: pulumi up replaces it/,
    ],
    [
      "is not whole",
      () => (scene.aws.invocations = [success([{ name: "x", ok: true, evidence: "" }])]),
      /reported nothing/,
      /start-session/,
    ],
    ["reports no checks", () => (scene.aws.invocations = [success([])]), /reported nothing/, /start-session/],
    [
      "reports something else",
      () =>
        (scene.aws.invocations = [{ ...success([]), StandardOutputContent: '{"checks":[{"name":"x"}]}' }]),
      /reported nothing/,
      /start-session/,
    ],
    [
      "fails after good rows",
      () => (scene.aws.invocations = [{ ...success(INSTANCE_ROWS), Status: "Failed" }]),
      /ended as Failed/,
      /start-session/,
    ],
    [
      "does not end",
      () => (scene.aws.invocations = [{ ...success([]), Status: "InProgress" }]),
      /has not ended within 0.5 s/,
      /start-session/,
    ],
  ])("%s", async (_, arrange, evidence, next) => {
    arrange();
    const { rows } = await scene.run();
    expect(only(rows)).toMatchObject({ name: "the checks on the instance", evidence, next });
  });

  test("is skipped only on request", async () => {
    const { rows } = await scene.run({ options: { skipMachine: true } });
    expect(rows.at(-1)).toMatchObject({ ok: null, evidence: "skipped by --skip-machine" });
    expect(scene.aws.commands).toEqual([]);
  });
});

describe("a fleet with a public certificate", () => {
  const GROUP = "qwen3-embedding-test";
  const machine = (id: string, version = "7", state = "InService"): FakeInstance => ({
    id,
    version,
    state,
    health: "Healthy",
  });
  const current = { desired: 2, version: "7", instances: [machine("i-0a"), machine("i-0b")] };
  const target = { instanceId: undefined, autoScalingGroup: GROUP, caCertificate: "" };
  const options = { publicRoots: [] as string[], fleetPollMs: 5 };

  beforeEach(() => {
    options.publicRoots = [scene.certificates.ca];
  });

  test("waits until the old instances are gone, then searches every new one", async () => {
    scene.aws.groups[GROUP] = [
      { ...current, instances: [machine("i-0a", "6")], refresh: { status: "InProgress", percent: 0 } },
      { ...current, instances: [machine("i-0a"), machine("i-0b", "7", "Pending:Wait")] },
      { ...current, refresh: { status: "Successful" } },
    ];
    const { rows, progress } = await scene.run({ target, options });
    expect(rows.filter(({ ok }) => ok !== true)).toEqual([]);
    expect(progress).toContain("waiting: instances are being replaced, 0 % (InProgress)");
    expect(progress).toContain("waiting: 1 of 2 instances are in service");
    expect(rows.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        "every instance of the fleet is current",
        "public CAs verify TLS",
        "no key in a file, i-0a",
        "no key in a file, i-0b",
      ]),
    );
    expect(scene.aws.commands.map(({ instanceId }) => instanceId).sort()).toEqual(["i-0a", "i-0b"]);
  });

  test("fails if the replacement was rolled back, even though the old instances respond", async () => {
    scene.aws.groups[GROUP] = [
      { ...current, refresh: { status: "RollbackSuccessful", reason: "2 instances never ready" } },
    ];
    const { rows } = await scene.run({ target, options });
    expect(only(rows)).toMatchObject({
      name: "every instance of the fleet is current",
      evidence: "the last replacement ended as RollbackSuccessful: 2 instances never ready",
    });
  });

  test("passes once a change that was rolled back has been reverted", async () => {
    scene.aws.latestTemplate = 3;
    scene.aws.groups[GROUP] = [{ ...current, refresh: { status: "RollbackSuccessful", version: "2" } }];
    const { rows } = await scene.run({ target, options });
    expect(rows.filter(({ ok }) => ok !== true)).toEqual([]);
  });

  test("fails if an old instance is left", async () => {
    scene.aws.groups[GROUP] = [{ ...current, instances: [machine("i-0a"), machine("i-0b", "6")] }];
    const { rows } = await scene.run({ target, options });
    expect(only(rows).evidence).toBe("not of version 7 of the launch template: i-0b");
  });

  test("fails if an instance never enters service", async () => {
    scene.aws.groups[GROUP] = [{ ...current, instances: [machine("i-0a")] }];
    const { rows } = await scene.run({ target: { ...target, timeoutSeconds: 0.1 }, options });
    expect(only(rows).evidence).toMatch(/not within \d+ s; last: 1 of 2 instances are in service/);
  });

  test("names the missing permission", async () => {
    scene.aws.errors = [{ action: "DescribeAutoScalingGroups", type: "AccessDenied", message: "no" }];
    const { rows } = await scene.run({ target, options });
    expect(only(rows).next).toMatch(/need autoscaling:DescribeAutoScalingGroups/);
  });

  test.each([
    ["lets the load balancer reject", target, options, true],
    ["requires a single instance to return 401 for", {}, {}, false],
  ])("%s a key that is not allowed in a header", async (_, machines, trust, ok) => {
    scene.aws.groups[GROUP] = [current];
    const { rows } = await scene.run({
      fault: "400 on a token outside ascii",
      target: machines,
      options: trust,
    });
    expect(rows.find(({ name }) => name === "a wrong key is refused")?.ok).toBe(ok);
  });

  test.each([
    [6, ["the certificate is valid for 7 days"]],
    // ACM renews it 60 days before its end.
    [30, []],
  ])("with a certificate that ends in %i days", async (days, failed) => {
    scene.aws.groups[GROUP] = [current];
    const served = makeCertificates("IP:127.0.0.1", { certificate: days });
    const { rows } = await scene.run({ served, target, options: { ...options, publicRoots: [served.ca] } });
    expect(rows.filter(({ ok }) => ok !== true).map(({ name }) => name)).toEqual(failed);
  });

  test("has a row that fails if public CAs do not verify the certificate", async () => {
    const endpoint = new FakeEndpoint(scene.certificates, KEY);
    onTestFinished(() => endpoint.close());
    const { host, port } = addressOf(await endpoint.listen());
    const [trusted, untrusted] = await Promise.all(
      [scene.certificates.ca, scene.foreign.ca].map((ca) =>
        Promise.all(publicCertificateChecks(host, port, [ca]).map(runCheck)),
      ),
    );
    expect(trusted!.map(({ ok }) => ok)).toEqual([true, true]);
    expect(only(untrusted!)).toMatchObject({
      name: "public CAs verify TLS",
      evidence: /^not with the public CAs/,
    });
  });

  test("fails if the certificate is from a private CA", async () => {
    scene.aws.groups[GROUP] = [current];
    const { rows } = await scene.run({
      target: { ...target, timeoutSeconds: 0.2 },
      options: { ...options, publicRoots: [scene.foreign.ca] },
    });
    expect(only(rows)).toMatchObject({
      name: "the endpoint is ready",
      evidence: expect.stringMatching(/TLS:/),
    });
  });
});
