import { execFile } from "node:child_process";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { KEY_PREFIX } from "../../components/keys/apiKey";
import { verifyCommand } from "../../scripts/verify/command";
import type { Row } from "../../scripts/verify/row";
import { DIMENSIONS, FakeEndpoint, type Fault, MODEL } from "./fakes/endpoint";
import { OTHER_ARN, runCommand, SECRET_ARN, stackAnswers } from "./fakes/environment";
import { KEY, Scene, success } from "./fakes/scene";

const scene = Scene.use();

describe("the command", () => {
  test("prints a table, progress on standard error, and the counts last", async () => {
    const { status, stdout, stderr } = await scene.command({ settings: { publishedWeights: "false" } });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^✓ a wrong key is refused {2,}401 on both/m);
    expect(stdout).toMatch(/^– the model card's similarities/m);
    expect(stdout.trimEnd().split("\n").at(-1)).toBe("27 passed, 0 failed, 1 skipped");
    expect(stderr).toMatch(/the endpoint is ready/);
  });

  test("prints one JSON document", async () => {
    const { status, stdout } = await scene.command({ flags: ["--json"], fault: "no allow" });
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      ...{ ok: false, passed: 27, failed: 1, warnings: 0, skipped: 0, model: MODEL },
      rows: expect.arrayContaining([
        expect.objectContaining({ name: "other methods are not allowed", about: "service", warning: false }),
      ]),
    });
  });

  test("uses the named client's key", async () => {
    scene.aws.secrets = { [SECRET_ARN]: "another", [OTHER_ARN]: KEY };
    expect((await scene.command({ flags: ["--client", "search"] })).status).toBe(0);
  });

  test("lists the clients if there is none of that name", async () => {
    const { status, stderr } = await scene.command({ flags: ["--client", "nobody"] });
    expect(status).toBe(1);
    expect(stderr).toMatch(/--client is "nobody": stack local has default, search/);
  });

  test.each(["AccessDeniedException", "ResourceNotFoundException", "ExpiredTokenException"])(
    "names what is missing if the key can't be read: %s",
    async (type) => {
      scene.aws.errors = [{ action: "GetSecretValue", type }];
      const { status, stdout } = await scene.command();
      expect(status).toBe(1);
      expect(stdout).toMatch(/✗ the key can be read .*(secretsmanager:GetSecretValue|pulumi up|sign in)/);
    },
  );

  test.each<[string[], RegExp]>([
    [[], /neither --stack NAME nor --from-env is set/],
    [["--stack", "a", "--from-env"], /'--from-env' cannot be used with option '-s, --stack <name>'/],
    [["--from-env", "--client", "x"], /'--from-env' cannot be used with option '--client <name>'/],
    [["--stack", "a", "--timeout", "soon"], /--timeout is "soon"; allowed: a whole number/],
    [["--stack", "a", "--fail-on", "some"], /--fail-on is "some"; allowed: all, keys/],
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
    const endpoint = new FakeEndpoint(scene.certificates, KEY);
    onTestFinished(() => endpoint.close());
    const env = {
      ...{ HOME: process.env.HOME, PATH: process.env.PATH },
      VERIFY_ENDPOINT: await endpoint.listen(),
      VERIFY_CA_CERTIFICATE: scene.certificates.ca,
      VERIFY_SECRET_ARN: SECRET_ARN,
      VERIFY_REGION: "us-east-1",
      VERIFY_MODEL: MODEL,
      VERIFY_DIMENSIONS: String(DIMENSIONS),
      VERIFY_INSTANCE_ID: "i-0123456789abcdef0",
      VERIFY_PUBLISHED_WEIGHTS: "true",
      VERIFY_TIMEOUT_SECONDS: "60",
      AWS_ENDPOINT_URL: scene.awsEndpoint,
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
    expect(rows).toHaveLength(28);
    const failed = rows.filter(({ name, ok }) => !ok && name !== "plain HTTP does not serve");
    expect(failed).toEqual([]);
    expect(stdout + stderr).not.toContain(KEY);
  }, 60_000);

  test.each<Fault | undefined>([undefined, "echoes authorization", "server_info open", "right key refused"])(
    "never prints the key: %s",
    async (fault) => {
      const { status, stdout, stderr } = await scene.command({ fault });
      expect(status).toBe(fault === undefined ? 0 : 1);
      expect(stdout + stderr).not.toContain(KEY);
      // Nor one that differs in one character, which the endpoint may repeat.
      expect(stdout + stderr).not.toContain(KEY.slice(1));
      expect(stdout + stderr).not.toContain(KEY.slice(0, -1));
      expect(stdout + stderr).not.toContain(Buffer.from(KEY).toString("base64"));
      expect(stdout.includes("[redacted]")).toBe(fault === "echoes authorization");
    },
  );

  test("never prints a key that the instance or AWS returns", async () => {
    const other = `${KEY_PREFIX}${"0aZ".repeat(16)}`;
    scene.aws.invocations = [
      success([
        { name: "no key in a file", about: "keys", ok: false, evidence: `/tmp/notes: ${KEY} ${other}` },
      ]),
    ];
    const found = await scene.command();
    scene.aws.errors = [{ action: "SendCommand", type: "ValidationException", message: `bad: ${KEY}` }];
    const refused = await scene.command({ flags: ["--json"] });
    for (const { stdout, stderr } of [found, refused]) {
      expect(stdout).toContain("[redacted]");
      expect(stdout + stderr).not.toContain(KEY);
      expect(stdout + stderr).not.toContain(other);
    }
  });
});

describe("opening the stack", () => {
  test("lists the existing stacks", async () => {
    const { status, stderr } = await scene.open({
      "stack output": { code: 6, stderr: "error: no stack named 'local' found" },
      "stack ls": { code: 0, stdout: '[{"name":"dev"},{"name":"prod"}]' },
    });
    expect(status).toBe(1);
    expect(stderr).toMatch(/there is no stack local; the stacks are dev, prod$/m);
  });

  test("says to deploy it if it has no outputs", async () => {
    const { status, stderr } = await scene.open(stackAnswers({}));
    expect(status).toBe(1);
    expect(stderr).toMatch(/has no outputs: run npx pulumi up -s local first/);
  });

  test("names the outputs that are missing after an incomplete update", async () => {
    const { stderr } = await scene.open(stackAnswers({ endpoint: "https://192.0.2.1/v1", model: MODEL }));
    expect(stderr).toMatch(/has no output caCertificate, dimensions, region/);
  });

  test("passes on Pulumi's error", async () => {
    const { stderr } = await scene.open({
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
