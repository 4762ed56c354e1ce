import { beforeAll, describe, expect, it } from "vitest";
import { type Registered, runProgram, SENTINEL } from "./fakes/program";

const publicAccess = { allowedCidrs: ["0.0.0.0/0"], allowPublicAccess: true };

/** The inputs of all resources of one type. */
function of(registered: Registered[], type: string) {
  return registered.filter((resource) => resource.type.endsWith(`:${type}`));
}

/** Names of the types whose inputs contain a text, secret or not. */
function typesWith(registered: Registered[], text: string): string[] {
  const found = registered.filter(({ inputs }) => JSON.stringify(inputs).includes(text));
  return [...new Set(found.map(({ type }) => type.split(":").at(-1)!))].sort();
}

describe("the program", () => {
  let registered: Registered[];
  let outputs: Record<string, unknown>;

  beforeAll(async () => {
    ({ registered, outputs } = await runProgram({ ...publicAccess, clients: ["search", "chat"] }));
  });

  it("puts the key only into the secret's version", () => {
    expect(typesWith(registered, SENTINEL.password)).toEqual(["SecretVersion"]);
  });

  it("puts the certificate's private key only into certificates and the secret's version", () => {
    expect(typesWith(registered, "SENTINEL")).toEqual([
      "CertRequest",
      "LocallySignedCert",
      "SecretVersion",
      "SelfSignedCert",
    ]);
  });

  it("marks every input that contains a key as secret", () => {
    for (const { inputs } of of(registered, "SecretVersion")) {
      expect(inputs.secretString).toMatchObject({
        "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
      });
    }
  });

  it("creates keys of 285 bits that a secret scanner can match", () => {
    expect(of(registered, "RandomPassword").map(({ inputs }) => inputs)).toEqual(
      Array(2).fill({ length: 48, special: false }),
    );
    const values = of(registered, "SecretVersion").map(({ inputs }) => JSON.stringify(inputs.secretString));
    expect(values.filter((value) => /qwen3_[0-9A-Za-z]{48}/.test(value))).toHaveLength(2);
  });

  it("allows only port 443, from the allowed ranges", () => {
    expect(of(registered, "SecurityGroupIngressRule").map(({ inputs }) => inputs)).toEqual([
      expect.objectContaining({ cidrIpv4: "0.0.0.0/0", ipProtocol: "tcp", fromPort: 443, toPort: 443 }),
    ]);
  });

  it("requests a hardened instance that is replaced when its user data changes", () => {
    expect(of(registered, "Instance")[0]!.inputs).toMatchObject({
      instanceType: "g6e.xlarge",
      userDataReplaceOnChange: true,
      metadataOptions: { httpEndpoint: "enabled", httpTokens: "required", httpPutResponseHopLimit: 1 },
      rootBlockDevice: { volumeType: "gp3", encrypted: true },
    });
    expect(of(registered, "Instance")[0]!.inputs).not.toHaveProperty("keyName");
  });

  it("names an instance by what it is, and a reserved one by the stack", async () => {
    const name = async (settings: Record<string, unknown>) =>
      of((await runProgram({ ...publicAccess, ...settings })).registered, "Instance")[0]!.name;
    const usual = await name({});
    expect(usual).toMatch(/^qwen3-embedding-test-[0-9a-f]{8}$/);
    expect(of(registered, "Instance")[0]!.name).toBe(usual);
    // Limits of the deployment and the clients are no part of an instance.
    expect(await name({ verificationTimeoutSeconds: 60, drainSeconds: 0, keyGraceSeconds: 0 })).toBe(usual);
    const others = [
      await name({ maxInputs: 512 }),
      await name({ maxBodyBytes: 65536 }),
      await name({ instanceType: "g6e.2xlarge" }),
      await name({ imageId: "ami-0123456789abcdef0" }),
      await name({ purchaseOption: "spot" }),
    ];
    expect(new Set([usual, ...others]).size).toBe(6);
    const capacityReservationId = "cr-0123456789abcdef0";
    const reserved = { purchaseOption: "reservation", capacityReservationId, availabilityZone: "us-east-1a" };
    expect(await name(reserved)).toBe("qwen3-embedding-test");
  });

  it("hands the address over between an instance and its association", () => {
    const { inputs } = of(registered, "Command").find(({ name }) => name.endsWith("-handover"))!;
    const [instance] = of(registered, "Instance");
    expect(inputs).toMatchObject({
      create: expect.stringMatching(/^exec node .* handover --from-env$/),
      update: "true",
      triggers: [`${instance!.name}-id`],
      environment: {
        HANDOVER_INSTANCE_ID: `${instance!.name}-id`,
        HANDOVER_ALLOCATION_ID: expect.any(String),
        HANDOVER_REGION: "us-east-1",
        HANDOVER_TIMEOUT_SECONDS: "2700",
        HANDOVER_DRAIN_SECONDS: "60",
      },
    });
  });

  it("grants the role access to its own secrets and artifacts by exact ARN", () => {
    const { Statement } = JSON.parse(of(registered, "RolePolicy")[0]!.inputs.policy as string) as {
      Statement: { Sid: string; Action: string[]; Resource: string | string[] }[];
    };
    const secrets = Statement.find(({ Sid }) => Sid === "ReadOwnSecrets")!;
    expect(secrets.Action).toEqual(["secretsmanager:GetSecretValue", "secretsmanager:ListSecretVersionIds"]);
    expect(secrets.Resource).toHaveLength(3);
    expect(JSON.stringify(secrets.Resource)).not.toContain("*");
    const everything = Statement.filter(({ Resource }) => Resource === "*").map(({ Sid }) => Sid);
    expect(everything).toEqual(["SessionManager"]);
  });

  it("verifies strictly after every change, except of keys alone", () => {
    const { inputs } = of(registered, "Command").find(({ name }) => !name.endsWith("-handover"))!;
    const { create, update, triggers, environment } = inputs as {
      create: string;
      update: string;
      triggers: string[];
      environment: Record<string, string>;
    };
    expect(create).toMatch(/ verify --from-env$/);
    // The provider runs it if something else than a trigger changed.
    expect(update).toBe(`${create} --fail-on keys`);
    const { VERIFY_KEY_VERSIONS, VERIFY_SECRET_ARN, ...others } = environment;
    expect(VERIFY_KEY_VERSIONS).toBe("v1 v1");
    expect(VERIFY_SECRET_ARN).toBe(outputs.secretArn);
    // The version of the certificate, and no version of a launch template, without a domain.
    expect([...triggers].sort()).toEqual([create, "v1", "", ...Object.values(others)].sort());
  });

  it("returns what an app stack needs", () => {
    expect(outputs).toMatchObject({
      endpoint: "https://203.0.113.10/v1",
      caCertificate:
        "CERTIFICATE OF qwen3-embedding-test-ca\nCERTIFICATE OF qwen3-embedding-test-second-ca\n",
      model: "Qwen3-Embedding-4B",
      dimensions: 2560,
      region: "us-east-1",
      secretArns: { search: expect.stringContaining("-search-"), chat: expect.stringContaining("-chat-") },
      apiKeyUrns: { search: expect.stringContaining("RandomPassword"), chat: expect.any(String) },
    });
    expect(outputs.secretArn).toBe((outputs.secretArns as Record<string, string>).search);
    expect(outputs.apiKeyUrn).toBe((outputs.apiKeyUrns as Record<string, string>).search);
  });
});
