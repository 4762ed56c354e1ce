import * as pulumi from "@pulumi/pulumi";
import { beforeEach, expect, it } from "vitest";

const BOUNDARY = "arn:aws:iam::123456789012:policy/applications";
const OUTPUTS = {
  endpoint: "https://192.0.2.1/v1",
  caCertificate: "CA CERTIFICATE",
  model: "Qwen3-Embedding-4B",
  secretArns: { default: "arn:aws:secretsmanager:us-east-1:123456789012:secret:own-AbCdEf" },
  secretArn: "arn:aws:secretsmanager:us-east-1:123456789012:secret:own-AbCdEf",
};

let roles: Record<string, unknown>[];

beforeEach(async () => {
  roles = [];
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs }) => {
        if (type === "aws:iam/role:Role") {
          roles.push(inputs);
        }
        const isReference = type === "pulumi:pulumi:StackReference";
        return { id: name, state: isReference ? { ...inputs, outputs: OUTPUTS } : { ...inputs, arn: name } };
      },
      call: () => ({}),
    },
    "qwen3-embedding-app",
    "test",
  );
});

it.each([
  ["the permissions boundary of the configuration", BOUNDARY, BOUNDARY],
  ["no permissions boundary if the setting is empty", "", undefined],
])("the role of the example application has %s", async (_, permissionsBoundary, expected) => {
  pulumi.runtime.setAllConfig({
    "qwen3-embedding-app:embeddingStack": "organization/qwen3-embedding-stack/test",
    "qwen3-embedding-app:permissionsBoundary": permissionsBoundary,
  });
  const { default: program } = await import("../../examples/app/index");
  const { roleArn } = await program();
  await new Promise((resolve) => roleArn.apply(resolve));
  expect(roles).toHaveLength(1);
  expect(roles[0]!.permissionsBoundary).toBe(expected);
});
