import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IAMClient, ListRolesCommand } from "@aws-sdk/client-iam";
import { ListSecretsCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ADMINISTRATOR } from "../../local/aws/administrator";
import { type Emulator, startEmulator } from "../../local/aws/emulator";
import { publishModel } from "../../local/model";
import { realProviderConfiguration } from "../../local/realProvider";
import { freePort } from "../freePort";
import type { Given } from "./emulator";
import { record } from "./record";
import { findTools, NOWHERE, readSchema, Terraform } from "./terraform";
import { translate } from "./translate";

const folder = mkdtempSync(join(tmpdir(), "qwen3-local-provider-"));
let emulator: Emulator;

beforeAll(async () => {
  emulator = await startEmulator({
    stateDir: folder,
    host: "127.0.0.1",
    port: await freePort(),
    ami: "ami-0123456789abcdef0",
  });
  await publishModel(emulator.url);
});

afterAll(async () => {
  await emulator?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** `aws:s3UsePathStyle` as Terraform's `s3_use_path_style`. */
function settings(): Record<string, unknown> {
  const snake = (key: string) =>
    key.replace("aws:", "").replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(
    Object.entries(realProviderConfiguration(emulator.url)).map(([key, value]) => [snake(key), value]),
  );
}

describe("AWS's own provider and the local environment's emulator, as with --real-provider", () => {
  it("create, keep and destroy the local stack with nothing but the configured endpoints", async () => {
    const tools = findTools();
    if (typeof tools === "string") {
      throw new Error(`this layer cannot run: ${tools}`);
    }
    const { schema, file } = await readSchema(tools, folder);
    const given = {
      region: "us-east-1",
      subnets: { "us-east-1a": "", "us-east-1b": "" },
    } as unknown as Given;
    const environment = { stack: "local", configuration: "Pulumi.local.yaml" };
    const configuration = translate(await record(environment, file, given), schema);
    const work = join(folder, "work");
    mkdirSync(work);
    // A service without an endpoint of its own would be called at a URL at which nothing listens.
    const terraform = new Terraform(tools, work, NOWHERE, {
      credentials: ADMINISTRATOR,
      settings: settings(),
    });
    await terraform.init(configuration);
    const planned = await terraform.plan();
    await terraform.applyPlan();
    const managed = (await terraform.list()).filter((address) => !address.startsWith("data."));
    expect(managed.sort()).toEqual(planned.map(({ address }) => address).sort());
    expect(managed.length).toBeGreaterThan(20);
    expect(await terraform.plan()).toEqual([]);

    await terraform.destroy();
    const client = { endpoint: emulator.url, region: "us-east-1", credentials: ADMINISTRATOR };
    expect((await new IAMClient(client).send(new ListRolesCommand({}))).Roles).toEqual([]);
    expect((await new SecretsManagerClient(client).send(new ListSecretsCommand({}))).SecretList).toEqual([]);
  });
});
