import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readStackFile } from "../../scripts/lib/stackFile";

const folder = mkdtempSync(join(tmpdir(), "qwen3-stack-file-"));

beforeAll(() => {
  writeFileSync(join(folder, "Pulumi.yaml"), "name: qwen3-embedding-stack\nruntime: nodejs\n");
});
afterAll(() => rmSync(folder, { recursive: true }));

function read(text: string) {
  writeFileSync(join(folder, "Pulumi.dev.yaml"), text);
  return readStackFile("dev", folder);
}

it("reads the settings of the project and of the provider", () => {
  const config = "config:\n  aws:region: us-east-1\n  qwen3-embedding-stack:domain: a.example.com\n";
  expect(read(`${config}encryptionsalt: v1:abc\n`)).toEqual({
    settings: { domain: "a.example.com" },
    provider: { region: "us-east-1" },
  });
});

it("refuses a setting outside config, which Pulumi ignores", () => {
  expect(() =>
    read("config:\n  aws:region: us-east-1\nqwen3-embedding-stack:domain: a.example.com\n"),
  ).toThrow(
    /^qwen3-embedding-stack:domain is outside config in .*Pulumi\.dev\.yaml; allowed: below config, indented by two spaces$/,
  );
});

it("names the file that a stack lacks", () => {
  expect(() => readStackFile("other", folder)).toThrow(
    /--stack is "other", but there is no .*Pulumi\.other\.yaml/,
  );
});
