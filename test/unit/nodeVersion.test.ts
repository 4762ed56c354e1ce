import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { ROOT } from "../../scripts/lib/paths";

const NEEDED: string = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).engines.node;

/** Runs a file as if by a Node of this version. */
async function runAs(version: string, file: string, ...args: string[]) {
  const fake = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } })`;
  const nodeArgs = ["--import", "tsx", "--import", `data:text/javascript,${encodeURIComponent(fake)}`];
  const options = { cwd: ROOT, env: { PATH: process.env.PATH } };
  return promisify(execFile)(process.execPath, [...nodeArgs, file, ...args], options).then(
    ({ stdout, stderr }) => ({ status: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ status: code as number, stdout, stderr }),
  );
}

test("the required version is that of package.json, and that of the HTTP client", () => {
  const undici = createRequire(__filename)("undici/package.json") as { engines: { node: string } };
  expect(NEEDED).toBe(undici.engines.node);
});

describe.each(["20.20.2", "22.18.0"])("Node %s", (version) => {
  test.each([
    ["scripts/cli.ts", "--help"],
    ["local/cli.ts", "--help"],
    ["bench/cli.ts", "--help"],
    ["test/run.ts", "none"],
  ])("%s ends with one sentence before it loads anything that would fail", async (file, argument) => {
    const { status, stdout, stderr } = await runAs(version, join(ROOT, file), argument);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(
      /^This command requires Node 22\.19\.0 or later, but Node [\d.]+ runs it \(\/.*\): use npm run.*\.\n$/,
    );
    expect(stderr).toContain(`Node ${version} runs it`);
  });
});

test.each(["22.19.0", "24.0.0", "26.1.0-nightly20260101"])("Node %s is new enough", async (version) => {
  const { status, stdout } = await runAs(version, join(ROOT, "scripts/cli.ts"), "--help");
  expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringContaining("verify") });
});

test.each([
  ["node_modules/node", /: run npm rebuild node --ignore-scripts=false, which installs Node 24/],
  ["node_modules/other", /: run npm ci --include=dev --ignore-scripts=false, which installs Node 24/],
])("says what to run if Node 24 is missing and %s exists", async (folder, next) => {
  const copy = mkdtempSync(join(tmpdir(), "qwen3-node-"));
  onTestFinished(() => rmSync(copy, { recursive: true }));
  mkdirSync(join(copy, folder), { recursive: true });
  mkdirSync(join(copy, "scripts/lib"), { recursive: true });
  cpSync(join(ROOT, "scripts/lib/nodeVersion.ts"), join(copy, "scripts/lib/nodeVersion.ts"));
  writeFileSync(join(copy, "package.json"), "{}");
  const { status, stderr } = await runAs("20.20.2", join(copy, "scripts/lib/nodeVersion.ts"));
  expect(status).toBe(1);
  expect(stderr).toMatch(next);
});
