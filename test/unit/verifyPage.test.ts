import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../../scripts/lib/paths";
import { EndpointClient } from "../../scripts/verify/client";
import { FLEET } from "../../scripts/verify/fleet";
import { INSTANCE } from "../../scripts/verify/instance";
import { KEY_READ } from "../../scripts/verify/main";
import { outsideChecks, READY } from "../../scripts/verify/run";
import { targetFromEnv } from "../../scripts/verify/target";

/** One row of the page's tables. */
interface Line {
  section: string;
  name: string;
  /** What a failure does in an update that changes keys alone: `fails` or `warns`. */
  keysAlone: string;
  /** What is proved, what a failure means, and what to do. */
  rest: string[];
}

const page = readFileSync(join(ROOT, "docs/reference/verify.md"), "utf8");
const lines = page.split("\n## ").flatMap((section): Line[] => {
  const [title = "", ...text] = section.split("\n");
  const table = text.slice(text.indexOf("|---|---|---|---|---|") + 1);
  return text.includes("|---|---|---|---|---|")
    ? table
        .filter((line) => line.startsWith("| "))
        .map((line) => {
          const [name = "", keysAlone = "", ...rest] = line
            .slice(1, -1)
            .split("|")
            .map((cell) => cell.trim());
          return { section: title, name, keysAlone, rest };
        })
    : [];
});

/** Every row that `verify` makes itself, in order, as the page has it. */
function expected(): [string, string][] {
  const target = (ca: string) =>
    targetFromEnv({
      VERIFY_ENDPOINT: "https://192.0.2.1/v1",
      VERIFY_CA_CERTIFICATE: ca,
      VERIFY_SECRET_ARN: "arn:aws:secretsmanager:us-east-1:1:secret:x",
      VERIFY_REGION: "us-east-1",
      VERIFY_MODEL: "m",
      VERIFY_DIMENSIONS: "2560",
      VERIFY_INSTANCE_ID: "i-0",
      VERIFY_PUBLISHED_WEIGHTS: "true",
    });
  const client = new EndpointClient("https://192.0.2.1/v1", undefined, "");
  const own = outsideChecks(client, target("-----BEGIN CERTIFICATE-----"));
  const names = new Set(own.map(({ name }) => name));
  const withDomain = outsideChecks(client, target("")).filter(({ name }) => !names.has(name));
  const row = (suffix: string) => (check: { name: string; about: string }) =>
    [check.name + suffix, check.about === "keys" ? "fails" : "warns"] as [string, string];
  return [
    [KEY_READ, "fails"],
    [READY, "fails"],
    ...own.map(row("")),
    ...withDomain.map(row(" (with a domain)")),
    [`${FLEET} (with a domain)`, "warns"],
    [INSTANCE, "fails"],
  ];
}

test("the page lists the rows of verify, and which only warn when keys alone change", () => {
  const listed = lines
    .filter(({ section, name }) => section !== "On each instance" || name === INSTANCE)
    .map(({ name, keysAlone }) => [name, keysAlone]);
  expect(listed.sort()).toEqual(expected().sort());
});

test("each says what it proves, what a failure means and what to do", () => {
  expect(lines.length).toBeGreaterThan(30);
  for (const { name, rest } of lines) {
    expect([name, rest.length]).toEqual([name, 3]);
    expect(rest.every((cell) => cell !== "")).toBe(true);
  }
});
