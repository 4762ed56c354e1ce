import { X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer } from "node:tls";
import { getRegion } from "@pulumi/aws/getRegion";
import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { type EngineEvent, LocalWorkspace, type Stack } from "@pulumi/pulumi/automation";
import * as random from "@pulumi/random";
import * as tls from "@pulumi/tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { prepareEngine } from "../../local/engine";
import { writeFakeProviders } from "../../local/fakeProviders";
import { configureRealProvider, replaceCommands, SERVICES } from "../../local/realProvider";

/** The fakes of random, command and tls, with the real engine: the behaviour that the program and its rotation need. */

const state = mkdtempSync(join(tmpdir(), "qwen3-providers-"));
const backend = join(state, "backend");
let path = "";

beforeAll(async () => {
  mkdirSync(backend);
  const engine = await prepareEngine(join(state, "providers"), () => undefined);
  // The fakes are tested even if the real providers could be installed.
  const fakes = join(state, "fakes");
  await writeFakeProviders(fakes, ["aws", "command", "random", "tls"]);
  path = [fakes, engine.path].join(":");
  process.env.PATH = path;
});

afterAll(() => rmSync(state, { recursive: true, force: true }));

type Program = () => Promise<Record<string, unknown>>;

/** A stack whose program can be exchanged. */
async function openStack(name: string, program: Program) {
  const current = { program };
  const stack = await LocalWorkspace.createOrSelectStack(
    { stackName: name, projectName: "providers", program: async () => current.program() },
    {
      pulumiHome: join(state, "home"),
      projectSettings: { name: "providers", runtime: "nodejs", backend: { url: `file://${backend}` } },
      envVars: {
        PATH: path,
        PULUMI_CONFIG_PASSPHRASE: "only for this test",
        PULUMI_SKIP_UPDATE_CHECK: "true",
        PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
      },
    },
  );
  return { stack, current };
}

/** The engine's output, and each diagnostic except debug messages, in which the SDK writes all values, also secrets. */
async function up(stack: Stack, options: { replace?: string[] } = {}) {
  const diagnostics: EngineEvent["diagnosticEvent"][] = [];
  let output = "";
  const result = await stack.up({
    ...options,
    onOutput: (text) => {
      output += text;
    },
    onEvent: ({ diagnosticEvent }) => {
      if (diagnosticEvent && (diagnosticEvent.severity as string) !== "debug") {
        diagnostics.push(diagnosticEvent);
      }
    },
  });
  const messages = diagnostics.map((diagnostic) => diagnostic?.message ?? "").join("");
  return {
    result,
    outputs: result.outputs,
    changes: result.summary.resourceChanges ?? {},
    output,
    messages,
    diagnostics,
  };
}

/** The contents of the backend's files. */
function onDisk(): string {
  return readdirSync(backend, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8"))
    .join("\n");
}

describe("random", () => {
  test("creates, keeps and replaces passwords, which are secret everywhere", async () => {
    const { stack } = await openStack("random", async () => {
      const password = new random.RandomPassword("password", { length: 48, special: false });
      const dependent = new random.RandomPassword("dependent", {
        length: 8,
        keepers: { password: password.result },
      });
      const untouched = new random.RandomPassword("untouched", { length: 12, lower: false, upper: false });
      return {
        urn: password.urn,
        password: password.result,
        dependent: dependent.result,
        untouched: untouched.result,
      };
    });
    const first = await up(stack);
    const password = first.outputs.password;
    expect(password?.value).toMatch(/^[A-Za-z0-9]{48}$/);
    expect(password?.secret).toBe(true);
    expect(first.outputs.untouched?.value).toMatch(/^[^A-Za-z]{12}$/);
    expect(onDisk()).not.toContain(password?.value);
    expect(onDisk()).toContain('"untouched"');
    expect(JSON.stringify(first.diagnostics) + first.output).not.toContain(password?.value);

    expect((await stack.preview()).changeSummary).toEqual({ same: 4 });
    expect((await up(stack)).changes).toEqual({ same: 4 });

    const rotated = await up(stack, { replace: [first.outputs.urn?.value] });
    expect(rotated.changes).toEqual({ same: 2, replace: 2 });
    expect(rotated.outputs.password?.value).toMatch(/^[A-Za-z0-9]{48}$/);
    expect(rotated.outputs.password?.value).not.toBe(password?.value);
    expect(rotated.outputs.dependent?.value).not.toBe(first.outputs.dependent?.value);
    expect(rotated.outputs.untouched?.value).toBe(first.outputs.untouched?.value);
    expect(onDisk()).not.toContain(rotated.outputs.password?.value);

    await stack.refresh();
    expect((await up(stack)).changes).toEqual({ same: 4 });
  });
});

describe("tls", () => {
  const address = { current: "127.0.0.1", early: 1 };

  /** A private authority and a certificate that it signed. */
  function chain() {
    const caKey = new tls.PrivateKey("ca", { algorithm: "ECDSA", ecdsaCurve: "P256" });
    const ca = new tls.SelfSignedCert("ca", {
      privateKeyPem: caKey.privateKeyPem,
      subject: { commonName: "Test CA", organization: "providers, “test”" },
      isCaCertificate: true,
      setSubjectKeyId: true,
      validityPeriodHours: 48,
      allowedUses: ["cert_signing", "crl_signing"],
    });
    const key = new tls.PrivateKey("server", { algorithm: "ECDSA", ecdsaCurve: "P256" });
    const request = new tls.CertRequest("server", {
      privateKeyPem: key.privateKeyPem,
      subject: { commonName: "server" },
      ipAddresses: [address.current, "::1"],
      dnsNames: ["server.test"],
    });
    const certificate = new tls.LocallySignedCert("server", {
      certRequestPem: request.certRequestPem,
      caPrivateKeyPem: caKey.privateKeyPem,
      caCertPem: ca.certPem,
      validityPeriodHours: 24,
      earlyRenewalHours: address.early,
      allowedUses: ["digital_signature", "server_auth"],
    });
    return {
      ca: ca.certPem,
      key: key.privateKeyPem,
      certificate: certificate.certPem,
    };
  }

  /** The response of a server with this certificate to a client that trusts only the authority. */
  function greet(ca: string, cert: string, key: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const server = createServer({ cert, key }, (socket) => socket.end("hello"));
      server.listen(0, "127.0.0.1", () => {
        const client = connect({ host: "127.0.0.1", port: (server.address() as AddressInfo).port, ca: [ca] });
        client.once("data", (data) => resolve(String(data)));
        client.once("error", reject);
        client.once("close", () => server.close());
      });
    });
  }

  test("signs a chain for addresses and a name", async () => {
    const { stack } = await openStack("chain", async () => chain());
    const { outputs } = await up(stack);
    const { ca, key, certificate } = outputs;
    expect([ca?.secret, key?.secret, certificate?.secret]).toEqual([false, true, false]);
    expect(await greet(ca?.value, certificate?.value, key?.value)).toBe("hello");
    const parsed = new X509Certificate(certificate?.value);
    const authority = new X509Certificate(ca?.value);
    expect(parsed.checkIssued(authority) && parsed.verify(authority.publicKey)).toBe(true);
    expect([authority.ca, authority.subject]).toEqual([true, "O=providers\\, “test”\nCN=Test CA"]);
    expect(parsed.subjectAltName).toBe("DNS:server.test, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1");
    expect(Date.parse(parsed.validTo) - Date.parse(parsed.validFrom)).toBe(24 * 3_600_000);
    expect(onDisk()).not.toContain("PRIVATE KEY");
    expect((await stack.preview()).changeSummary).toEqual({ same: 6 });
  });

  test("renews a certificate that is due, and replaces it for another address", async () => {
    Object.assign(address, { current: "127.0.0.1", early: 1 });
    const { stack } = await openStack("renewal", async () => chain());
    const first = await up(stack);
    address.early = 2;
    const early = await up(stack);
    expect(early.changes).toEqual({ same: 5, update: 1 });
    expect(early.outputs.certificate?.value).toBe(first.outputs.certificate?.value);

    address.current = "127.0.0.2";
    const moved = await up(stack);
    expect(moved.changes).toEqual({ same: 4, replace: 2 });
    const { ca, key, certificate } = moved.outputs;
    const response = greet(ca?.value, certificate?.value, key?.value);
    await expect(response).rejects.toThrow(/IP: 127.0.0.1 is not in the cert's list/);

    address.early = 24;
    expect((await up(stack)).changes).toEqual({ same: 5, replace: 1 });
  });
});

describe("command", () => {
  const file = join(state, "deleted");
  const command =
    (args: local.CommandArgs, options?: pulumi.CustomResourceOptions): Program =>
    async () => {
      const { stdout, stderr } = new local.Command("command", args, options);
      return { stdout, stderr };
    };

  test("runs on create, on a change, on a trigger and on delete", async () => {
    const common = {
      create: 'echo "created $WHO"; echo warned >&2',
      update: 'echo "updated $WHO after $PULUMI_COMMAND_STDOUT"',
      delete: `echo "$WHO" >> ${file}`,
    };
    const opened = await openStack(
      "command",
      command({ ...common, environment: { WHO: "one" }, triggers: [1] }),
    );
    const { stack, current } = opened;
    const created = await up(stack);
    expect(created.outputs).toMatchObject({
      stdout: { value: "created one", secret: false },
      stderr: { value: "warned" },
    });
    expect(created.messages).toContain("created one");
    expect(created.messages).toContain("warned");
    expect((await stack.preview()).changeSummary).toEqual({ same: 2 });

    current.program = command({ ...common, environment: { WHO: "two" }, triggers: [1] });
    const updated = await up(stack);
    expect(updated.changes).toEqual({ same: 1, update: 1 });
    expect(updated.outputs.stdout?.value).toBe("updated two after created one");
    expect(existsSync(file)).toBe(false);

    current.program = command({ ...common, environment: { WHO: "two" }, triggers: [2] });
    const replaced = await up(stack);
    expect(replaced.changes).toEqual({ same: 1, replace: 1 });
    expect(replaced.outputs.stdout?.value).toBe("created two");
    expect(readFileSync(file, "utf8")).toBe("two\n");

    await stack.destroy();
    expect(readFileSync(file, "utf8")).toBe("two\ntwo\n");
  });

  test("fails with the command's output and is run again", async () => {
    const failing = command({ create: 'echo seen; echo "the reason" >&2; exit 3', logging: "none" });
    const { stack, current } = await openStack("failure", failing);
    await expect(up(stack)).rejects.toThrow(/exit status 3: running[\s\S]*the reason/);
    current.program = command({ create: "echo fine" });
    expect((await up(stack)).outputs.stdout?.value).toBe("fine");

    current.program = command({ create: "echo fine", update: "echo worse >&2; exit 4" });
    await expect(up(stack)).rejects.toThrow(/exit status 4/);
    await expect(up(stack)).rejects.toThrow(/exit status 4/);
  });

  test("logs what `logging` says, beside the command that wrote it", async () => {
    const levels = ["none", "stdout", "stderr", "stdoutAndStderr"] as const;
    const { stack } = await openStack("logging", async () =>
      Object.fromEntries(
        levels.map((logging) => {
          const args: local.CommandArgs = {
            create: "echo sentinel-out-$NAME; echo sentinel-err-$NAME >&2",
            environment: { NAME: logging },
            logging,
          };
          const hidden = { additionalSecretOutputs: ["stdout", "stderr"] };
          return [logging, new local.Command(logging, args, hidden).stdout];
        }),
      ),
    );
    const { outputs, messages, output, diagnostics } = await up(stack);
    const logged = (level: string) =>
      ["out", "err"].map((name) => new RegExp(`sentinel-${name}-${level}\\b`).test(messages));
    expect(levels.map(logged)).toEqual([
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ]);
    for (const level of levels) {
      expect(outputs[level]).toEqual({ value: `sentinel-out-${level}`, secret: true });
      const own = diagnostics.filter((item) =>
        new RegExp(`sentinel-\\w+-${level}\\b`).test(item?.message ?? ""),
      );
      expect(own.every((item) => item?.urn?.endsWith(`::${level}`))).toBe(true);
    }
    expect(output).not.toContain("sentinel-out-none");
    expect(onDisk()).not.toContain("sentinel-out-none");
  });

  test("is replaced where no instance boots", async () => {
    const { stack } = await openStack("replaced", async () => {
      replaceCommands();
      return { stdout: new local.Command("command", { create: "exit 1", update: "exit 2" }).stdout };
    });
    expect((await up(stack)).outputs.stdout?.value).toMatch(/^not verified: /);
  });

  test("hides the output if any input was secret", async () => {
    const secret = pulumi.secret("hush-hush");
    const { stack } = await openStack(
      "secret",
      command({ create: 'echo "$S"', environment: { S: secret }, logging: "none" }),
    );
    const { outputs, output } = await up(stack);
    expect(outputs.stdout).toEqual({ value: "hush-hush", secret: true });
    expect(output + onDisk()).not.toContain("hush-hush");
    expect((await up(stack)).changes).toEqual({ same: 2 });
  });
});

describe("the configuration of AWS's own provider", () => {
  test("reaches the provider, of which the fake supports less", async () => {
    const { stack } = await openStack("configured", async () => ({ region: (await getRegion()).region }));
    await stack.setConfig("aws:region", { value: "us-east-1" });
    await configureRealProvider(stack, "http://127.0.0.1:4566");
    const { value } = await stack.getConfig("aws:endpoints");
    expect(Object.keys(JSON.parse(value)[0])).toEqual([...SERVICES]);
    await expect(up(stack)).rejects.toThrow(/the local fake for aws has no setting endpoints/);
    expect((await stack.getConfig("aws:region")).value).toBe("us-east-1");
  });
});

describe("what a fake does not support", () => {
  test.each<[string, Program, RegExp]>([
    [
      "property",
      async () => ({ command: new local.Command("c", { create: "true", assetPaths: ["*"] }) }),
      /the local fake for command has no property assetPaths of command:local:Command \(local\/fakes\)/,
    ],
    [
      "type",
      async () => ({ pet: new random.RandomPet("pet") }),
      /the local fake for random has no random:index\/randomPet:RandomPet \(local\/fakes\)/,
    ],
    [
      "invoke",
      async () => ({ key: await tls.getPublicKey({ privateKeyPem: "-" }) }),
      /the local fake for tls has no tls:index\/getPublicKey:getPublicKey \(local\/fakes\)/,
    ],
    [
      "value",
      async () => ({ key: new tls.PrivateKey("k", { algorithm: "RSA" }) }),
      /algorithm.*is "RSA"; the local fake of tls supports only ECDSA/,
    ],
  ])("is rejected with its name: a %s", async (name, program, message) => {
    const { stack } = await openStack(`unknown-${name}`, program);
    await expect(up(stack)).rejects.toThrow(message);
  });
});
