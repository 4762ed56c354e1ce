import { execFile } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { KEY_PREFIX } from "../../components/keys/apiKey";
import { verifyCommand } from "../../scripts/verify/command";
import type { Row } from "../../scripts/verify/row";
import { type RunOptions, verify } from "../../scripts/verify/run";
import type { Target } from "../../scripts/verify/target";
import { ADVERSARY } from "./fakes/adversary";
import { FakeAws, type FakeInstance, type Invocation } from "./fakes/aws";
import { type Certificates, makeCertificates } from "./fakes/certificates";
import { DIMENSIONS, FakeEndpoint, type Fault, MODEL } from "./fakes/endpoint";
import { FakeHome, OTHER_ARN, runCommand, SECRET_ARN, stackAnswers, stackOutputs } from "./fakes/environment";

// Not in the format of the project's keys, so that only the key that was read can be redacted.
const KEY = "SENTINEL7f3c9a1e5b2d4860SENTINEL7f3c9a1e5b2d4860";
const AUDIT_ROWS = [
  { name: "no key in a process argument", ok: true, evidence: "212 processes" },
  { name: "no key in a file", ok: true, evidence: "40312 files" },
];
const FAST = { pollMs: 5, keyWaitMs: 100, instance: { pollMs: 5, onlineMs: 50, auditMs: 500 } };

let certificates: Certificates;
let foreign: Certificates;
let closedPort: number;
let aws: FakeAws;
let awsEndpoint: string;

beforeAll(async () => {
  certificates = makeCertificates("IP:127.0.0.1");
  foreign = makeCertificates("IP:127.0.0.1");
  const server = createServer();
  closedPort = await listen(server);
  server.close();
});

beforeEach(async () => {
  aws = new FakeAws();
  awsEndpoint = await aws.listen();
  aws.secrets = { [SECRET_ARN]: KEY };
  aws.invocations = [success(AUDIT_ROWS)];
});

afterEach(() => aws.close());

describe("a correct endpoint", () => {
  test("passes every row", async () => {
    const { rows } = await run();
    expect(rows.filter(({ ok }) => ok !== true)).toEqual([]);
    expect(rows.map(({ name }) => name)).toEqual([
      "the endpoint is ready",
      "a missing key is refused",
      "a wrong key is refused",
      "GET /v1/models lists the model",
      "GET /health needs no key",
      "other paths are not found",
      "other methods are not allowed",
      "the right key is served",
      "dimensions 768 shortens",
      "float and base64 agree",
      "instruction is the card's prompt",
      "the model card's similarities",
      "the exported CA alone verifies TLS",
      "plain HTTP does not serve",
      "no key in a process argument",
      "no key in a file",
    ]);
    expect(aws.commands).toEqual([
      { instanceId: "i-0123456789abcdef0", command: "/usr/local/sbin/qwen3-audit --json" },
    ]);
  });

  test("skips the model card for random weights and says why", async () => {
    const { rows } = await run({ target: { publishedWeights: false } });
    const card = rows.find(({ name }) => name === "the model card's similarities");
    expect(card).toMatchObject({ ok: null, evidence: expect.stringContaining("publishedWeights") });
  });

  test("gets time to accept a new key", async () => {
    const { rows, progress } = await run({ arrange: (endpoint) => (endpoint.refusals = 3) });
    expect(rows.every(({ ok }) => ok)).toBe(true);
    expect(progress).toContainEqual(
      expect.stringContaining("the endpoint does not have the current key yet"),
    );
  });
});

/** Each fault, the rows that it fails, and the evidence in the first of them. */
const FAULTS: [Fault, string[], RegExp][] = [
  ["open without a key", ["a missing key is refused"], /200 instead of 401/],
  ["open models without a key", ["a missing key is refused"], /200 instead of 401/],
  ["missing key is an error", ["a missing key is refused"], /must not be an error in WWW-Authenticate/],
  ["open with any key", ["a wrong key is refused"], /200 instead of 401/],
  ["sglang 401", ["a missing key is refused", "a wrong key is refused"], /without OpenAI's error object/],
  ["no challenge", ["a missing key is refused", "a wrong key is refused"], /WWW-Authenticate is ""/],
  ["wrong key without error", ["a wrong key is refused"], /lacks error="invalid_token"/],
  ["wrong key without code", ["a wrong key is refused"], /code null/],
  ["500 on a token outside ascii", ["a wrong key is refused"], /500 instead of 401/],
  ["model not listed", ["GET /v1/models lists the model"], /var\/lib\/qwen3/],
  ["health needs a key", ["GET /health needs no key"], /401/],
  ["server_info open", ["other paths are not found"], /GET \/server_info: 200/],
  ["405 instead of 404", ["other paths are not found"], /GET \/generate: 405/],
  ["404 as html", ["other paths are not found"], /404 without OpenAI's error object/],
  ["get embeddings served", ["other methods are not allowed"], /GET \/v1\/embeddings: 200/],
  ["no allow", ["other methods are not allowed"], /Allow: nothing/],
  [
    "unnormalized",
    ["the right key is served", "dimensions 768 shortens", "float and base64 agree"],
    /length is 2/,
  ],
  [
    "fewer dimensions",
    [
      "the right key is served",
      "dimensions 768 shortens",
      "float and base64 agree",
      "the model card's similarities",
    ],
    /1024/,
  ],
  ["model is a path", ["the right key is served"], /model is "\/var/],
  [
    "items out of order",
    ["instruction is the card's prompt", "the model card's similarities"],
    /out of order/,
  ],
  ["dimensions ignored", ["dimensions 768 shortens"], /2560 dimensions instead of 768/],
  ["dimensions unnormalized", ["dimensions 768 shortens"], /length is 0/],
  ["dimensions not a prefix", ["dimensions 768 shortens"], /not the start of the full vector/],
  ["big-endian base64", ["float and base64 agree"], /length is/],
  ["base64 ignored", ["float and base64 agree"], /different encoding/],
  ["float ignored", ["float and base64 agree"], /different encoding/],
  [
    "instruction ignored",
    ["instruction is the card's prompt", "the model card's similarities"],
    /1\.000000 with the plain text/,
  ],
  [
    "instruction with a space",
    ["instruction is the card's prompt", "the model card's similarities"],
    /1\.000000 with a space/,
  ],
  ["card's similarities off", ["the model card's similarities"], /apart at most/],
  [
    "right key refused",
    [
      "GET /v1/models lists the model",
      "the right key is served",
      "dimensions 768 shortens",
      "float and base64 agree",
      "instruction is the card's prompt",
      "the model card's similarities",
    ],
    /401/,
  ],
];

describe("a fault fails its row", () => {
  test.each(FAULTS)("%s", async (fault, names, evidence) => {
    const { rows } = await run({ fault });
    const failed = rows.filter(({ ok }) => ok === false);
    expect(failed.map(({ name }) => name)).toEqual(names);
    expect(failed[0]?.evidence).toMatch(evidence);
    expect(failed.every(({ next }) => next)).toBe(true);
  });

  test("plain HTTP on its own port", async () => {
    const server = createServer((_, reply) => reply.writeHead(301, { location: "https://x/" }).end());
    onTestFinished(() => void server.close());
    const { rows } = await run({ options: { plainPort: await listen(server) } });
    expect(only(rows)).toMatchObject({ name: "plain HTTP does not serve", evidence: /returns 301/ });
  });

  test("a publicly trusted certificate", async () => {
    const { rows } = await run({ options: { publicRoots: [certificates.ca] } });
    expect(only(rows)).toMatchObject({ name: "the exported CA alone verifies TLS", evidence: /public CAs/ });
  });
});

test("a server without a model passes every check from outside", async () => {
  const { rows } = await run({ faults: ADVERSARY, options: { skipMachine: true } });
  expect(rows.filter(({ ok }) => ok)).toHaveLength(14);
  expect(rows.filter(({ ok }) => ok === false)).toEqual([]);
});

describe("an endpoint that does not become ready", () => {
  test.each<[Fault, RegExp]>([
    ["starting", /503 starting: nginx is running, the workers are loading/],
    ["health broken", /\/health returned 502/],
  ])("%s", async (fault, state) => {
    const { rows, progress } = await run({ fault, target: { timeoutSeconds: 0.03 } });
    expect(rows).toHaveLength(1);
    expect(only(rows)).toMatchObject({
      name: "the endpoint is ready",
      evidence: state,
      next: /cloud-init status/,
    });
    expect(progress[0]).toMatch(/^ {2}0:00 {2}waiting: /);
  });

  test("with a certificate of another CA", async () => {
    const { rows } = await run({ target: { timeoutSeconds: 0.03, caCertificate: foreign.ca } });
    expect(only(rows)).toMatchObject({ name: "the endpoint is ready", evidence: /TLS: .*SIGNATURE/ });
  });

  test("with a certificate for another host", async () => {
    const served = makeCertificates("IP:127.0.0.2");
    const { rows } = await run({ served, target: { timeoutSeconds: 0.03, caCertificate: served.ca } });
    expect(only(rows).evidence).toMatch(/TLS: ERR_TLS_CERT_ALTNAME_INVALID/);
  });

  test("on which nothing listens", async () => {
    const { rows } = await run({
      target: { timeoutSeconds: 0.03, endpoint: `https://127.0.0.1:${closedPort}/v1` },
    });
    expect(only(rows).evidence).toMatch(/connection refused/);
  });

  test("even if the environment disables certificate verification", async () => {
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
    onTestFinished(() => void delete process.env.NODE_TLS_REJECT_UNAUTHORIZED);
    const { rows } = await run({ target: { timeoutSeconds: 0.03, caCertificate: foreign.ca } });
    expect(only(rows).evidence).toMatch(/TLS: /);
  });
});

describe("the search on the instance", () => {
  test("waits for the agent and the invocation", async () => {
    aws.errors = [
      { action: "SendCommand", type: "InvalidInstanceId" },
      { action: "GetCommandInvocation", type: "InvocationDoesNotExist" },
    ];
    aws.invocations = [{ ...success([]), Status: "InProgress" }, success(AUDIT_ROWS)];
    const { rows } = await run();
    expect(rows.slice(-2)).toEqual(AUDIT_ROWS);
  });

  test("fails the row that found a key", async () => {
    const found = { name: "no key in a file", ok: false, evidence: "/tmp/notes" };
    aws.invocations = [{ ...success([AUDIT_ROWS[0], found]), Status: "Failed" }];
    const { rows } = await run();
    expect(only(rows)).toMatchObject({ ...found, next: /rotate the key/ });
  });

  test.each<[string, () => void, RegExp, RegExp]>([
    [
      "is not allowed",
      () => (aws.errors = [{ action: "SendCommand", type: "AccessDeniedException" }]),
      /not allowed/,
      /ssm:SendCommand.*ssm:GetCommandInvocation/,
    ],
    [
      "finds no agent",
      () => (aws.errors = Array(99).fill({ action: "SendCommand", type: "InvalidInstanceId" })),
      /agent is offline/,
      /amazon-ssm-agent/,
    ],
    [
      "finds no program",
      () =>
        (aws.invocations = [
          { Status: "Failed", StandardOutputContent: "", StandardErrorContent: "sh: not found" },
        ]),
      /reported nothing \(Failed\): sh: not found/,
      /start-session/,
    ],
    ["reports no checks", () => (aws.invocations = [success([])]), /reported nothing/, /start-session/],
    [
      "reports something else",
      () => (aws.invocations = [{ ...success([]), StandardOutputContent: '{"checks":[{"name":"x"}]}' }]),
      /reported nothing/,
      /start-session/,
    ],
    [
      "fails after good rows",
      () => (aws.invocations = [{ ...success(AUDIT_ROWS), Status: "Failed" }]),
      /ended as Failed/,
      /start-session/,
    ],
    [
      "does not end",
      () => (aws.invocations = [{ ...success([]), Status: "InProgress" }]),
      /has not ended within 0.5 s/,
      /start-session/,
    ],
  ])("%s", async (_, arrange, evidence, next) => {
    arrange();
    const { rows } = await run();
    expect(only(rows)).toMatchObject({ name: "the search on the instance", evidence, next });
  });

  test("is skipped only on request", async () => {
    const { rows } = await run({ options: { skipMachine: true } });
    expect(rows.at(-1)).toMatchObject({ ok: null, evidence: "skipped by --skip-machine" });
    expect(aws.commands).toEqual([]);
  });
});

describe("the command", () => {
  test("prints a table, progress on standard error, and the counts last", async () => {
    const { status, stdout, stderr } = await command({ settings: { publishedWeights: "false" } });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^✓ a wrong key is refused {2,}401 on both/m);
    expect(stdout).toMatch(/^– the model card's similarities/m);
    expect(stdout.trimEnd().split("\n").at(-1)).toBe("15 passed, 0 failed, 1 skipped");
    expect(stderr).toMatch(/the endpoint is ready/);
  });

  test("prints one JSON document", async () => {
    const { status, stdout } = await command({ flags: ["--json"], fault: "no allow" });
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, passed: 15, failed: 1, skipped: 0, model: MODEL });
  });

  test("uses the named client's key", async () => {
    aws.secrets = { [SECRET_ARN]: "another", [OTHER_ARN]: KEY };
    expect((await command({ flags: ["--client", "search"] })).status).toBe(0);
  });

  test("lists the clients if there is none of that name", async () => {
    const { status, stderr } = await command({ flags: ["--client", "nobody"] });
    expect(status).toBe(1);
    expect(stderr).toMatch(/--client is "nobody": stack local has default, search/);
  });

  test.each(["AccessDeniedException", "ResourceNotFoundException", "ExpiredTokenException"])(
    "names what is missing if the key can't be read: %s",
    async (type) => {
      aws.errors = [{ action: "GetSecretValue", type }];
      const { status, stdout } = await command();
      expect(status).toBe(1);
      expect(stdout).toMatch(/✗ the key can be read .*(secretsmanager:GetSecretValue|pulumi up|sign in)/);
    },
  );

  test.each<[string[], RegExp]>([
    [[], /neither --stack NAME nor --from-env is set/],
    [["--stack", "a", "--from-env"], /'--from-env' cannot be used with option '-s, --stack <name>'/],
    [["--from-env", "--client", "x"], /'--from-env' cannot be used with option '--client <name>'/],
    [["--stack", "a", "--timeout", "soon"], /--timeout is "soon"; allowed: a whole number/],
    [["--stack"], /--stack/],
    [["--nonsense"], /--nonsense/],
    [["--from-env"], /VERIFY_ENDPOINT is not set: https:\/\/HOST\/v1/],
  ])("rejects %j as wrong usage", async (argv, message) => {
    const { status, stderr } = await runCommand(verifyCommand, argv);
    expect(status).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^verify: .*\n$/);
  });

  test("runs as a process with only variables, as Verification runs it", async () => {
    const endpoint = new FakeEndpoint(certificates, KEY);
    onTestFinished(() => endpoint.close());
    const env = {
      ...{ HOME: process.env.HOME, PATH: process.env.PATH },
      VERIFY_ENDPOINT: await endpoint.listen(),
      VERIFY_CA_CERTIFICATE: certificates.ca,
      VERIFY_SECRET_ARN: SECRET_ARN,
      VERIFY_REGION: "us-east-1",
      VERIFY_MODEL: MODEL,
      VERIFY_DIMENSIONS: String(DIMENSIONS),
      VERIFY_INSTANCE_ID: "i-0123456789abcdef0",
      VERIFY_PUBLISHED_WEIGHTS: "true",
      VERIFY_TIMEOUT_SECONDS: "60",
      AWS_ENDPOINT_URL: awsEndpoint,
      AWS_ACCESS_KEY_ID: "AKIALOCALADMINISTRATOR",
      AWS_SECRET_ACCESS_KEY: "local",
    };
    const root = resolve(__dirname, "../..");
    const argv = [join(root, "scripts", "cli.ts"), "verify", "--from-env", "--json"];
    // A server may listen on port 80 of the computer that runs the tests, which fails one row.
    const { stdout, stderr } = await promisify(execFile)(join(root, "node_modules", ".bin", "tsx"), argv, {
      env,
    }).catch((error: { stdout: string; stderr: string }) => error);
    const { rows } = JSON.parse(stdout) as { rows: Row[] };
    expect(rows).toHaveLength(16);
    const failed = rows.filter(({ name, ok }) => !ok && name !== "plain HTTP does not serve");
    expect(failed).toEqual([]);
    expect(stdout + stderr).not.toContain(KEY);
  }, 60_000);

  test.each<Fault | undefined>([undefined, "echoes authorization", "server_info open", "right key refused"])(
    "never prints the key: %s",
    async (fault) => {
      const { status, stdout, stderr } = await command({ fault });
      expect(status).toBe(fault === undefined ? 0 : 1);
      expect(stdout + stderr).not.toContain(KEY);
      expect(stdout + stderr).not.toContain(Buffer.from(KEY).toString("base64"));
      expect(stdout.includes("[redacted]")).toBe(fault === "echoes authorization");
    },
  );

  test("never prints a key that the instance or AWS returns", async () => {
    const other = `${KEY_PREFIX}${"0aZ".repeat(16)}`;
    aws.invocations = [
      success([{ name: "no key in a file", ok: false, evidence: `/tmp/notes: ${KEY} ${other}` }]),
    ];
    const found = await command();
    aws.errors = [{ action: "SendCommand", type: "ValidationException", message: `bad: ${KEY}` }];
    const refused = await command({ flags: ["--json"] });
    for (const { stdout, stderr } of [found, refused]) {
      expect(stdout).toContain("[redacted]");
      expect(stdout + stderr).not.toContain(KEY);
      expect(stdout + stderr).not.toContain(other);
    }
  });
});

describe("opening the stack", () => {
  test("lists the existing stacks", async () => {
    const { status, stderr } = await open({
      "stack output": { code: 6, stderr: "error: no stack named 'local' found" },
      "stack ls": { code: 0, stdout: '[{"name":"dev"},{"name":"prod"}]' },
    });
    expect(status).toBe(1);
    expect(stderr).toMatch(/there is no stack local; the stacks are dev, prod$/m);
  });

  test("says to deploy it if it has no outputs", async () => {
    const { status, stderr } = await open(stackAnswers({}));
    expect(status).toBe(1);
    expect(stderr).toMatch(/has no outputs: run pulumi up -s local first/);
  });

  test("names the outputs that are missing after an incomplete update", async () => {
    const { stderr } = await open(stackAnswers({ endpoint: "https://192.0.2.1/v1", model: MODEL }));
    expect(stderr).toMatch(/has no output caCertificate, dimensions, region/);
  });

  test("passes on Pulumi's error", async () => {
    const { stderr } = await open({
      "stack output": { code: 3, stderr: "error: PULUMI_ACCESS_TOKEN must be set" },
    });
    expect(stderr).toMatch(/stack local can't be read: error: PULUMI_ACCESS_TOKEN/);
  });

  test("rejects a name that leads out of the state directory", async () => {
    const { status, stderr } = await runCommand(verifyCommand, ["--stack", "../local"]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/--stack is "\.\.\/local"/);
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
    options.publicRoots = [certificates.ca];
  });

  test("waits until the old instances are gone, then searches every new one", async () => {
    aws.groups[GROUP] = [
      { ...current, instances: [machine("i-0a", "6")], refresh: { status: "InProgress", percent: 0 } },
      { ...current, instances: [machine("i-0a"), machine("i-0b", "7", "Pending:Wait")] },
      { ...current, refresh: { status: "Successful" } },
    ];
    const { rows, progress } = await run({ target, options });
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
    expect(aws.commands.map(({ instanceId }) => instanceId).sort()).toEqual(["i-0a", "i-0b"]);
  });

  test("fails if the replacement was rolled back, even though the old instances respond", async () => {
    aws.groups[GROUP] = [
      { ...current, refresh: { status: "RollbackSuccessful", reason: "2 instances never ready" } },
    ];
    const { rows } = await run({ target, options });
    expect(only(rows)).toMatchObject({
      name: "every instance of the fleet is current",
      evidence: "the last replacement ended as RollbackSuccessful: 2 instances never ready",
    });
  });

  test("fails if an old instance is left", async () => {
    aws.groups[GROUP] = [{ ...current, instances: [machine("i-0a"), machine("i-0b", "6")] }];
    const { rows } = await run({ target, options });
    expect(only(rows).evidence).toBe("not of version 7 of the launch template: i-0b");
  });

  test("fails if an instance never enters service", async () => {
    aws.groups[GROUP] = [{ ...current, instances: [machine("i-0a")] }];
    const { rows } = await run({ target: { ...target, timeoutSeconds: 0.1 }, options });
    expect(only(rows).evidence).toMatch(/not within \d+ s; last: 1 of 2 instances are in service/);
  });

  test("names the missing permission", async () => {
    aws.errors = [{ action: "DescribeAutoScalingGroups", type: "AccessDenied", message: "no" }];
    const { rows } = await run({ target, options });
    expect(only(rows).next).toMatch(/need autoscaling:DescribeAutoScalingGroups/);
  });

  test.each([
    ["lets the load balancer reject", target, options, true],
    ["requires a single instance to return 401 for", {}, {}, false],
  ])("%s a key that is not allowed in a header", async (_, machines, trust, ok) => {
    aws.groups[GROUP] = [current];
    const { rows } = await run({ fault: "400 on a token outside ascii", target: machines, options: trust });
    expect(rows.find(({ name }) => name === "a wrong key is refused")?.ok).toBe(ok);
  });

  test("fails if the certificate is from a private CA", async () => {
    aws.groups[GROUP] = [current];
    const { rows } = await run({
      target: { ...target, timeoutSeconds: 0.2 },
      options: { ...options, publicRoots: [foreign.ca] },
    });
    expect(only(rows)).toMatchObject({
      name: "the endpoint is ready",
      evidence: expect.stringMatching(/TLS:/),
    });
  });
});

interface Run {
  fault?: Fault;
  faults?: readonly Fault[];
  target?: Partial<Target>;
  options?: Partial<RunOptions>;
  served?: Certificates;
  arrange?(endpoint: FakeEndpoint): void;
}

/** Verifies a fake endpoint in this process. */
async function run({
  fault,
  faults = fault ? [fault] : [],
  target,
  options,
  served = certificates,
  arrange,
}: Run = {}) {
  const endpoint = new FakeEndpoint(served, KEY, faults);
  onTestFinished(() => endpoint.close());
  arrange?.(endpoint);
  const progress: string[] = [];
  const whole: Target = {
    endpoint: await endpoint.listen(),
    caCertificate: certificates.ca,
    secretArn: SECRET_ARN,
    model: MODEL,
    dimensions: DIMENSIONS,
    instanceId: "i-0123456789abcdef0",
    publishedWeights: true,
    timeoutSeconds: 5,
    aws: {
      region: "us-east-1",
      env: {
        AWS_ENDPOINT_URL: awsEndpoint,
        AWS_ACCESS_KEY_ID: "AKIALOCALADMINISTRATOR",
        AWS_SECRET_ACCESS_KEY: "x",
      },
    },
    ...target,
  };
  const rows = await verify(whole, KEY, {
    ...FAST,
    skipMachine: false,
    plainPort: closedPort,
    publicRoots: [foreign.ca],
    progress: (line) => progress.push(line),
    ...options,
  });
  return { rows, progress };
}

/** Runs the command against a fake endpoint, through a stack's outputs. */
async function command({
  fault,
  flags = [],
  settings = {},
}: {
  fault?: Fault;
  flags?: string[];
  settings?: Record<string, string>;
} = {}) {
  const endpoint = new FakeEndpoint(certificates, KEY, fault ? [fault] : []);
  onTestFinished(() => endpoint.close());
  const outputs = stackOutputs(await endpoint.listen(), certificates.ca);
  const named = Object.entries(settings).map(([name, value]) => [`qwen3-embedding-stack:${name}`, value]);
  return open(stackAnswers(outputs, Object.fromEntries(named)), flags);
}

async function open(answers: ConstructorParameters<typeof FakeHome>[1], flags: string[] = []) {
  const home = new FakeHome(awsEndpoint, answers);
  onTestFinished(() => home.remove());
  const tuning = { ...FAST, plainPort: closedPort, publicRoots: [foreign.ca] };
  const argv = ["--stack", "local", "--timeout", "5", ...flags];
  return runCommand((context) => verifyCommand(context, tuning), argv, home.env);
}

/** The one failed row. */
function only(rows: Row[]): Row {
  const failed = rows.filter(({ ok }) => ok === false);
  expect(failed).toHaveLength(1);
  return failed[0]!;
}

function success(checks: unknown[]): Invocation {
  return { Status: "Success", StandardOutputContent: JSON.stringify({ checks }), StandardErrorContent: "" };
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return (server.address() as AddressInfo).port;
}
