import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer } from "node:tls";
import { promisify } from "node:util";
import * as pulumi from "@pulumi/pulumi";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { Certificate, type CertificateArgs } from "../../components/keys/certificate";
import { changes, type Props } from "../../local/fakes/framework";
import { tls } from "../../local/fakes/tls";

/**
 * The component's certificates over the years. Each update runs the component with the fake of tls at a chosen time,
 * and creates, keeps or replaces resources as Pulumi's engine does.
 */

const DAY = 86_400_000;
const YEAR = 365 * DAY;
const NOW = Date.now();
const SECRET = "1b47061264138c4ac30d75fd1eb44270";

/** What clients and instances get from one update. */
interface Deployed {
  bundle: string;
  /** The PEM texts of the bundle: the first and the second CA. */
  authorities: string[];
  certificate: string;
  key: string;
}

class Stack {
  #state = new Map<string, { inputs: Props; outputs: Props }>();

  async update(time: number, args: Pick<CertificateArgs, "signedBy"> = {}): Promise<Deployed> {
    vi.useFakeTimers({ toFake: ["Date"], now: time });
    let secret = "";
    await pulumi.runtime.setMocks({
      newResource: async ({ type, name, inputs }) => {
        secret = type.endsWith("SecretVersion") ? String(plain(inputs).secretString) : secret;
        return {
          id: name,
          state: type.startsWith("tls:") ? await this.#resource(type, name, inputs) : inputs,
        };
      },
      call: ({ inputs }) => inputs,
    });
    const options: CertificateArgs = { subject: { ipAddress: "127.0.0.1" }, recoveryDays: 0, ...args };
    const { caCertificate, versionId } = new Certificate("service", options);
    const [bundle] = await new Promise<string[]>((done) => {
      pulumi.all([caCertificate, versionId]).apply(done);
    });
    // The SDK exports this without its type.
    await (pulumi.runtime as unknown as { waitForRPCs(): Promise<void> }).waitForRPCs();
    vi.useRealTimers();
    const { certificate, privateKey } = JSON.parse(secret);
    return { bundle: bundle!, authorities: split(bundle!), certificate, key: privateKey };
  }

  /** Makes the next update create these again, as `--replace` does. */
  forget(name: string, type: string): void {
    this.#state.delete(`${type} ${name}`);
  }

  inputs(name: string, type: string): Props {
    return this.#state.get(`${type} ${name}`)!.inputs;
  }

  async #resource(token: string, name: string, given: Props): Promise<Props> {
    const definition = tls.resources[token]!;
    const inputs = plain(given);
    const key = `${token.split(":").at(-1)} ${name}`;
    const last = this.#state.get(key);
    if (last) {
      const { replaceOn = [] } = definition;
      const changed = changes(last.inputs, inputs);
      const replaced =
        typeof replaceOn === "function"
          ? replaceOn(last.inputs, inputs, last.outputs)
          : changed.filter((property) => replaceOn.includes(property));
      if (replaced.length === 0) {
        this.#state.set(key, { inputs, outputs: last.outputs });
        return last.outputs;
      }
    }
    const context = { urn: "", name, log: () => undefined, signal: new AbortController().signal };
    const { outputs } = await definition.create(inputs, context);
    const state = { ...inputs, ...outputs };
    this.#state.set(key, { inputs, outputs: state });
    return state;
  }
}

const { stackTraceLimit } = Error;
beforeEach(() => {
  // The SDK takes a stack trace for the promise of every property.
  Error.stackTraceLimit = 0;
});
afterEach(() => {
  Error.stackTraceLimit = stackTraceLimit;
  vi.useRealTimers();
});

/** Inputs without the envelopes of secrets. No input here has one inside. */
function plain(inputs: Record<string, unknown>): Props {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, each]) => [name, isSecret(each) ? each.value : each]),
  );
}

function isSecret(value: unknown): value is { value: unknown } {
  return typeof value === "object" && value !== null && Object.values(value).includes(SECRET);
}

function split(bundle: string): string[] {
  return bundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? [];
}

async function serve({ certificate, key }: Deployed): Promise<number> {
  const server = createServer({ cert: certificate, key }, (socket) =>
    socket.on("error", () => undefined).end("hello"),
  );
  server.on("tlsClientError", () => undefined);
  onTestFinished(() => void server.close());
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return (server.address() as AddressInfo).port;
}

/** What Node says to an endpoint now, with these CAs as its `ca`: `verified`, or why not. */
async function node(endpoint: Deployed, ca: string): Promise<string> {
  const port = await serve(endpoint);
  return new Promise((done) => {
    const socket = connect({ host: "127.0.0.1", port, ca });
    socket.once("secureConnect", () => done("verified"));
    socket.once("error", (error: NodeJS.ErrnoException) => done(String(error.code)));
    socket.once("close", () => socket.destroy());
  });
}

/** The same of Python's ssl, which the clients in Python use. */
async function python(endpoint: Deployed, ca: string): Promise<string> {
  const port = await serve(endpoint);
  const folder = mkdtempSync(join(tmpdir(), "qwen3-ca-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "ca.pem"), ca);
  const program = `
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
try:
    with socket.create_connection(("127.0.0.1", int(sys.argv[2]))) as raw, context.wrap_socket(raw, server_hostname="127.0.0.1"):
        print("verified")
except ssl.SSLCertVerificationError as error:
    print(error.verify_message)
`;
  const argv = ["-c", program, join(folder, "ca.pem"), String(port)];
  return (await promisify(execFile)("python3", argv)).stdout.trim();
}

/** Whether one of these CAs signed the certificate and is valid at a time. */
function trusts(server: X509Certificate, authorities: string[], time: number): boolean {
  return authorities
    .map(parse)
    .some(
      (authority) =>
        server.checkIssued(authority) && server.verify(authority.publicKey) && time <= end(authority),
    );
}

const parsed = new Map<string, X509Certificate>();
function parse(pem: string): X509Certificate {
  const certificate = parsed.get(pem) ?? new X509Certificate(pem);
  parsed.set(pem, certificate);
  return certificate;
}

function end({ validTo }: X509Certificate): number {
  return Date.parse(validTo);
}

describe("renewal of the CAs", () => {
  test("is not before their last three years", async () => {
    const stack = new Stack();
    const created = await stack.update(NOW - 6.9 * YEAR);
    expect((await stack.update(NOW)).bundle).toBe(created.bundle);
  });

  test("is a plain update in their last three years, with the same keys and names", async () => {
    const stack = new Stack();
    const created = await stack.update(NOW - 7.1 * YEAR);
    const renewed = await stack.update(NOW);
    expect(renewed.authorities).toHaveLength(2);
    for (const [i, pem] of renewed.authorities.entries()) {
      const [before, after] = [parse(created.authorities[i]!), parse(pem)];
      expect(after.serialNumber).not.toBe(before.serialNumber);
      expect(after.subject).toBe(before.subject);
      expect(after.publicKey.equals(before.publicKey)).toBe(true);
      expect(Math.round((end(after) - NOW) / YEAR)).toBe(10);
    }
    expect(renewed.certificate).not.toBe(created.certificate);
    expect((await stack.update(NOW)).bundle).toBe(renewed.bundle);
  });

  test("is not noticed by clients with the previous CAs, nor with the new ones before instances have loaded it", async () => {
    const stack = new Stack();
    await stack.update(NOW - 8 * YEAR);
    const before = await stack.update(NOW - 1.1 * YEAR);
    const after = await stack.update(NOW - DAY);
    expect(after.bundle).not.toBe(before.bundle);
    for (const client of [node, python]) {
      expect(await client(after, before.bundle)).toBe("verified");
      expect(await client(before, after.bundle)).toBe("verified");
      expect(await client(after, after.bundle)).toBe("verified");
    }
  });

  test("is not noticed by a client that has only the CA of a version with one", async () => {
    const stack = new Stack();
    const [only] = (await stack.update(NOW - 8 * YEAR)).authorities;
    expect(await node(await stack.update(NOW - DAY), only!)).toBe("verified");
  });

  test("is late for a client whose CAs have ended", async () => {
    const stack = new Stack();
    const created = await stack.update(NOW - 10 * YEAR - 30 * DAY);
    const renewed = await stack.update(NOW - 2 * YEAR);
    expect(await node(renewed, created.bundle)).toBe("CERT_HAS_EXPIRED");
    expect(await python(renewed, created.bundle)).toBe("certificate has expired");
    for (const client of [node, python]) {
      expect(await client(renewed, renewed.bundle)).toBe("verified");
      // An application that only appends, whose file begins with what has expired.
      expect(await client(renewed, created.bundle + renewed.bundle)).toBe("verified");
    }
  });

  test.each([90, 365])(
    "for twenty years, with an update every %i days",
    async (days) => {
      const stack = new Stack();
      const seen: { time: number; deployed: Deployed }[] = [];
      for (let time = NOW; time < NOW + 20 * YEAR; time += days * DAY) {
        const deployed = await stack.update(time);
        const next = time + days * DAY;
        seen.push({ time, deployed });
        const server = parse(deployed.certificate);
        expect(end(server)).toBeLessThan(end(parse(deployed.authorities[0]!)));
        // `verify` passes until the next update. The server's certificate is renewed in its last half year alone.
        for (const each of [...deployed.authorities.map(parse), ...(days < 120 ? [server] : [])]) {
          expect(end(each) - next).toBeGreaterThan(60 * DAY);
        }
        // A client trusts the endpoint for three years, less the time between updates, after it got its CAs.
        for (const earlier of seen.filter((each) => next - each.time <= 3 * YEAR - days * DAY)) {
          expect(trusts(server, earlier.deployed.authorities, next)).toBe(true);
        }
      }
      expect(new Set(seen.map(({ deployed }) => deployed.bundle)).size).toBe(3);
    },
    60_000,
  );
});

describe("a new key for a CA", () => {
  test("is unnoticed by clients that have both CAs, step by step", async () => {
    const stack = new Stack();
    const before = await stack.update(NOW - DAY);
    const moved = await stack.update(NOW - DAY, { signedBy: "second" });
    expect(moved.bundle).toBe(before.bundle);
    const [first, second] = before.authorities;
    for (const client of [node, python]) {
      expect(await client(moved, before.bundle)).toBe("verified");
      expect(await client(moved, second!)).toBe("verified");
      // Without the second CA, a client notices.
      expect(await client(moved, first!)).toMatch(/UNABLE_TO_VERIFY|unable to get/);
    }

    stack.forget("service-ca", "PrivateKey");
    const replaced = await stack.update(NOW - DAY, { signedBy: "second" });
    expect(replaced.certificate).toBe(moved.certificate);
    expect(replaced.authorities[1]).toBe(second);
    expect(replaced.authorities[0]).not.toBe(first);
    expect(await node(replaced, before.bundle)).toBe("verified");
    // What the old key signs is worth nothing to a client with the new CAs.
    expect(await node(before, replaced.bundle)).not.toBe("verified");

    const back = await stack.update(NOW - DAY, { signedBy: "first" });
    expect(await node(back, replaced.bundle)).toBe("verified");
    expect(await node(back, before.bundle)).not.toBe("verified");
  });
});

test("the first CA is the one of earlier versions: the same resource with the same inputs that replace it", async () => {
  const stack = new Stack();
  await stack.update(NOW);
  expect(stack.inputs("service-ca", "PrivateKey")).toEqual({ algorithm: "ECDSA", ecdsaCurve: "P256" });
  const { privateKeyPem: _, earlyRenewalHours, ...inputs } = stack.inputs("service-ca", "SelfSignedCert");
  expect(inputs).toEqual({
    subject: { commonName: "service CA", organization: "qwen3-embedding-stack" },
    isCaCertificate: true,
    setSubjectKeyId: true,
    validityPeriodHours: 87_600,
    allowedUses: ["cert_signing", "crl_signing"],
  });
  // It changes in place.
  expect(earlyRenewalHours).toBe(26_280);
});
