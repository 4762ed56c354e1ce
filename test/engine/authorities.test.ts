import { X509Certificate } from "node:crypto";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:tls";
import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import type { EngineEvent } from "@pulumi/pulumi/automation";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ADMINISTRATOR } from "../../local/aws/administrator";
import { unsupported } from "../../local/preflight";
import { type EngineEnvironment, startEngineEnvironment } from "./environment";
import { resourcesOf, type StateResource, steps } from "./state";

let environment: EngineEnvironment;

async function readSecret(arn: string): Promise<string> {
  const { endpoint } = environment;
  const client = new SecretsManagerClient({ endpoint, region: "us-east-1", credentials: ADMINISTRATOR });
  return (await client.send(new GetSecretValueCommand({ SecretId: arn }))).SecretString!;
}

/** Rewrites the stack's state. */
async function editState(edit: (resources: StateResource[]) => StateResource[]): Promise<void> {
  const { stack } = environment;
  const exported = await stack.exportStack();
  exported.deployment.resources = edit(exported.deployment.resources);
  await stack.importStack(exported);
}

/** The certificates of the two authorities, as the stack's output has them. */
async function authorities(): Promise<string[]> {
  const bundle: string = (await environment.stack.outputs()).caCertificate!.value;
  return bundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? [];
}

/** What Node says to the endpoint's present certificate with these CAs: `verified`, or why not. */
async function trust(ca: string[]): Promise<string> {
  const secrets = await resourcesOf(environment.stack, "Secret");
  const { id } = secrets.find(({ urn }) => urn.includes("$qwen3-embedding-stack:index:Certificate$"))!;
  const { certificate: cert, privateKey: key } = JSON.parse(await readSecret(id));
  const server = createServer({ cert, key }, (socket) => socket.on("error", () => undefined).end());
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  try {
    return await new Promise((done) => {
      const { port } = server.address() as AddressInfo;
      // The certificate is for the stack's address, and this server has another one.
      const name = { checkServerIdentity: () => undefined };
      const socket = connect({ host: "127.0.0.1", port, ca: ca.join(""), ...name });
      socket.once("secureConnect", () => done("verified"));
      socket.once("error", (error: NodeJS.ErrnoException) => done(String(error.code)));
    });
  } finally {
    server.close();
  }
}

describe.skipIf(unsupported() !== undefined)("the private certificate authorities on the real engine", () => {
  beforeAll(async () => {
    environment = await startEngineEnvironment();
    await environment.stack.up();
  });
  afterAll(async () => {
    await environment?.stop();
  });

  it("keeps the certificate authority of a version that had one, and adds the second", async () => {
    const { stack } = environment;
    const [first] = await authorities();
    await editState((resources) => {
      const added = resources.filter(({ urn }) => urn.endsWith("-second-ca")).map(({ urn }) => urn);
      expect(added).toHaveLength(2);
      const isLeft = (value: unknown) => typeof value !== "string" || !added.includes(value);
      // Nothing depends on what that version did not have.
      const old: StateResource[] = JSON.parse(
        JSON.stringify(resources.filter(({ urn }) => isLeft(urn))),
        (_, value) => (Array.isArray(value) ? value.filter(isLeft) : value),
      );
      const { inputs, outputs } = old.find(({ type }) => type.endsWith(":SelfSignedCert"))!;
      delete inputs.earlyRenewalHours;
      outputs.earlyRenewalHours = 0;
      return old;
    });
    const events: EngineEvent[] = [];
    await stack.up({ onEvent: (event) => events.push(event) });
    expect(new Set(steps(events))).toEqual(
      new Set([
        ...["update SelfSignedCert", "create PrivateKey", "create SelfSignedCert"],
        // The bundle for clients is another one, and verified.
        ...["create-replacement Command", "replace Command", "delete-replaced Command"],
      ]),
    );
    const after = await authorities();
    expect(after).toEqual([first, expect.any(String)]);
    expect(await trust([first!])).toBe("verified");
    await stack.preview({ expectNoChanges: true });
  });

  it("renews the certificate authorities in a plain update, under protection, for clients with the old ones", async () => {
    const { stack } = environment;
    await stack.setConfig("qwen3-embedding-stack:protect", { value: "true" });
    await stack.up();
    const keys = (await resourcesOf(environment.stack, "PrivateKey")).map(({ urn, protect }) => [
      urn.split("::").at(-1),
      protect,
    ]);
    expect(Object.fromEntries(keys)).toEqual({
      "qwen3-embedding-engine-ca": true,
      "qwen3-embedding-engine-second-ca": true,
      "qwen3-embedding-engine-server": undefined,
    });
    const before = await authorities();
    const soon = new Date(Date.now() + 1094 * 86_400_000).toISOString();
    await editState((resources) => {
      for (const { outputs } of resources.filter(({ type }) => type.endsWith(":SelfSignedCert"))) {
        outputs.validityEndTime = soon;
      }
      return resources;
    });
    const events: EngineEvent[] = [];
    await stack.up({ onEvent: (event) => events.push(event) });
    const replaced = ["SelfSignedCert", "LocallySignedCert", "SecretVersion", "Command"];
    expect(new Set(steps(events).map((step) => step.split(" ")[1]))).toEqual(new Set(replaced));
    const after = await authorities();
    expect(after).toHaveLength(2);
    for (const [i, pem] of after.entries()) {
      const [old, renewed] = [new X509Certificate(before[i]!), new X509Certificate(pem)];
      expect(renewed.serialNumber).not.toBe(old.serialNumber);
      expect(renewed.publicKey.equals(old.publicKey)).toBe(true);
    }
    expect(await trust(before)).toBe("verified");
    expect(await trust([before[0]!])).toBe("verified");
    expect(await trust(after)).toBe("verified");
    await stack.preview({ expectNoChanges: true });
  });

  it("gives a certificate authority a new key without an outage for clients that have both", async () => {
    const { stack } = environment;
    const before = await authorities();
    await stack.setConfig("qwen3-embedding-stack:certificateAuthority", { value: "second" });
    const events: EngineEvent[] = [];
    await stack.up({ onEvent: (event) => events.push(event) });
    expect(steps(events).filter((step) => /SelfSignedCert|PrivateKey|Instance$/.test(step))).toEqual([]);
    expect(await authorities()).toEqual(before);
    expect(await trust(before)).toBe("verified");
    expect(await trust([before[0]!])).not.toBe("verified");

    const keys = await resourcesOf(environment.stack, "PrivateKey");
    const replace = keys.map(({ urn }) => urn).filter((urn) => urn.endsWith("::qwen3-embedding-engine-ca"));
    await expect(stack.up({ replace })).rejects.toThrow(/protect/);
    await stack.removeConfig("qwen3-embedding-stack:protect");
    await stack.up();
    await stack.up({ replace });
    const [first, second] = await authorities();
    expect(first).not.toBe(before[0]);
    expect(second).toBe(before[1]);
    expect(await trust(before)).toBe("verified");

    await stack.removeConfig("qwen3-embedding-stack:certificateAuthority");
    await stack.up();
    expect(await trust([first!])).toBe("verified");
    expect(await trust(before)).not.toBe("verified");
    await stack.preview({ expectNoChanges: true });
  });
});
