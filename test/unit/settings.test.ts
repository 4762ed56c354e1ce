import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { workersOf } from "../../components/compute/instanceTypes";
import { checkSettings } from "../../components/settings/check";
import type { RawSettings } from "../../components/settings/table";
import { stackName } from "../../components/stackName";

const root = join(__dirname, "..", "..");
const usable: RawSettings = { allowedCidrs: ["203.0.113.0/24"] };

describe("checkSettings", () => {
  it("fills in the defaults", () => {
    expect(checkSettings(usable)).toMatchObject({
      instanceType: "g6e.xlarge",
      clients: ["default"],
    });
  });

  it("gives a p4d instance one worker for each of its eight A100s", () => {
    expect(workersOf(checkSettings({ ...usable, instanceType: "p4d.24xlarge" }))).toBe(8);
  });

  it.each<[string, RawSettings, RegExp]>([
    [
      "a type without a GPU",
      { instanceType: "m7i.xlarge" },
      /instanceType is "m7i.xlarge"; allowed: .*p4d\.24xlarge/,
    ],
    ["a type without bfloat16", { instanceType: "p3.2xlarge" }, /instanceType is "p3.2xlarge"/],
    ["an inherited property as a type", { instanceType: "toString" }, /instanceType is "toString"/],
    [
      "a client name that AWS rejects",
      { clients: ["My App!"] },
      /clients is \["My App!"\]; allowed: .*letters/,
    ],
    ["two clients with the same name", { clients: ["a", "a"] }, /clients is \["a","a"\]/],
    ["no clients", { clients: [] }, /clients is \[\]/],
    ["a list written as text", { clients: "default" }, /clients is "default"; allowed: a list/],
    [
      "the whole internet by accident",
      { allowedCidrs: ["0.0.0.0/0"] },
      /allowedCidrs is .* allowPublicAccess: true/,
    ],
    [
      "one range twice",
      { allowedCidrs: ["10.0.0.0/8", "10.0.0.0/8"] },
      /allowedCidrs is .* 1 to 60 different/,
    ],
    ["a Local Zone", { availabilityZone: "us-east-1-atl-2a" }, /availabilityZone is "us-east-1-atl-2a"/],
    [
      "half the internet by accident",
      { allowedCidrs: ["128.0.0.0/1", "0.0.0.0/1"] },
      /allowedCidrs is .* allowPublicAccess/,
    ],
    [
      "an address with host bits",
      { allowedCidrs: ["203.0.113.7/24"] },
      /allowedCidrs is \["203.0.113.7\/24"\]/,
    ],
    ["no allowed range", { allowedCidrs: [] }, /allowedCidrs is \[\]/],
    [
      "a model without a revision",
      { modelSource: "hf://Qwen/Qwen3-Embedding-4B" },
      /modelSource is .* commit of 40/,
    ],
    ["a model on disk", { modelSource: "/models/qwen" }, /modelSource is "\/models\/qwen"/],
    [
      "more context than the model supports",
      { contextLength: 40960 },
      /contextLength is 40960; allowed: .* to 32768/,
    ],
    [
      "a recovery window that AWS rejects",
      { secretRecoveryDays: 3 },
      /secretRecoveryDays is 3; allowed: 0, or/,
    ],
    [
      "a grace period in words",
      { keyGraceSeconds: "an hour" },
      /keyGraceSeconds is "an hour"; allowed: a whole number of seconds/,
    ],
    ["an unknown accelerator", { accelerator: "tpu" }, /accelerator is "tpu"; allowed: cuda or cpu/],
    [
      "all of the GPU's memory",
      { memFractionStatic: 1 },
      /memFractionStatic is 1; allowed: a number from 0.1 to 0.95/,
    ],
    [
      "a fraction of the GPU that the model does not fit into",
      { instanceType: "g6.xlarge", memFractionStatic: 0.5 },
      /memFractionStatic is 0.5, of 24 GB on an L4.*allowed: from 0.54 to 0.94 with this type and contextLength/,
    ],
    [
      "a third certificate authority",
      { certificateAuthority: "third" },
      /certificateAuthority is "third"; allowed: first or second/,
    ],
    [
      "a certificate authority that no client trusts",
      { certificateAuthority: "second", domain: "embeddings.example.com" },
      /certificateAuthority is "second"; allowed: "first" with a domain/,
    ],
    [
      "an endpoint that is not a URL",
      { awsEndpointUrl: "localhost:4566" },
      /awsEndpointUrl is "localhost:4566"/,
    ],
    [
      "a permissions boundary by its name",
      { permissionsBoundary: "qwen3-embedding-boundary" },
      /permissionsBoundary is "qwen3-embedding-boundary"; allowed: the ARN of a managed policy/,
    ],
    [
      "AWS's own policy as a permissions boundary",
      { permissionsBoundary: "arn:aws:iam::aws:policy/AdministratorAccess" },
      /permissionsBoundary is "arn:aws:iam::aws:policy\/AdministratorAccess"/,
    ],
  ])("rejects %s, naming setting, value and what is allowed", (_, change, message) => {
    expect(() => checkSettings({ ...usable, ...change })).toThrow(message);
  });

  it("reports every problem at once", () => {
    const wrong = () =>
      checkSettings({ ...usable, instanceTyp: "g6e.xlarge", contextLength: 1, clients: [], internal: true });
    expect(wrong).toThrow(/instanceTyp [\s\S]*clients[\s\S]*contextLength[\s\S]*internal is true/);
  });

  it("allows the whole internet if that is confirmed", () => {
    expect(
      checkSettings({ ...usable, allowedCidrs: ["0.0.0.0/0"], allowPublicAccess: true }).allowedCidrs,
    ).toHaveLength(1);
  });

  it("treats an empty optional setting as not set", () => {
    expect(checkSettings({ ...usable, awsEndpointUrl: "", modelSha256: "" })).toMatchObject({
      awsEndpointUrl: undefined,
      modelSha256: undefined,
    });
  });
});

describe("a name that is not a setting", () => {
  it.each([
    ["instanceTyp", "instanceType"],
    ["allowedCidr", "allowedCidrs"],
    ["region", "aws:region"],
  ])("%s is rejected with the nearest name", (name, nearest) => {
    expect(() => checkSettings({ ...usable, [name]: "a secret put there by mistake" })).toThrow(
      new RegExp(`- ${name} is not a setting; allowed: ${nearest}, or one of docs`),
    );
  });

  it("gets no suggestion if no name is near", () => {
    expect(() => checkSettings({ ...usable, toString: 1 })).toThrow(
      /- toString is not a setting; allowed: one of/,
    );
  });

  it("is rejected without its value, which may be a secret", () => {
    expect(() => checkSettings({ ...usable, apiKey: "sentinel" })).not.toThrow(/sentinel/);
  });
});

describe("stackName", () => {
  it("names the stack's resources", () => {
    expect(stackName("prod")).toBe("qwen3-embedding-prod");
  });

  it.each(["Prod", "my_stack", "a-name-that-s3-has-no-room-for", "1st"])("rejects the stack %s", (stack) => {
    expect(() => stackName(stack)).toThrow(/the stack's name is .* allowed: up to 20 lower-case letters/);
  });
});

describe.each(["dev", "prod"])("Pulumi.%s.yaml", (environment) => {
  it("passes the checks", () => {
    const { config } = parse(readFileSync(join(root, `Pulumi.${environment}.yaml`), "utf8")) as {
      config: RawSettings;
    };
    const values = Object.entries(config).map(([name, value]) => [
      name.replace("qwen3-embedding-stack:", ""),
      value,
    ]);
    expect(checkSettings(Object.fromEntries(values)).allowedCidrs).not.toEqual([]);
  });
});
