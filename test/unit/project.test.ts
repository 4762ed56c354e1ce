import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { readSettings } from "../../scripts/cost/main";
import { ROOT } from "../../scripts/lib/paths";
import { projectName } from "../../scripts/lib/project";
import { hasPublishedWeights, openStack } from "../../scripts/lib/stack";
import { FakeHome, stackAnswers, stackOutputs } from "./fakes/environment";

const NAME = "renamed";

test("the project's name is the name in Pulumi.yaml", () => {
  expect(projectName()).toBe(parse(readFileSync(join(ROOT, "Pulumi.yaml"), "utf8")).name);
  expect(projectName(renamedProject())).toBe(NAME);
});

test("a stack's settings are read by the name of its project", async () => {
  const settings = { [`${NAME}:publishedWeights`]: "false", "aws:profile": "deployer" };
  const answers = stackAnswers(stackOutputs("https://192.0.2.1/v1", ""), settings);
  const home = new FakeHome("http://127.0.0.1:1", answers, NAME);
  onTestFinished(() => home.remove());
  const stack = await openStack("local", home.env);
  expect(stack.setting("publishedWeights")).toBe("false");
  expect(hasPublishedWeights(stack)).toBe(false);
  expect(stack.setting("aws:profile")).toBe("deployer");
});

test("the cost of a renamed project follows its settings", () => {
  expect(readSettings("dev", renamedProject())).toMatchObject({
    instanceType: "g6e.xlarge",
    region: "us-east-1",
  });
});

/** A folder with this project's files under another project name. */
function renamedProject(): string {
  const folder = mkdtempSync(join(tmpdir(), "qwen3-project-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const file of ["Pulumi.yaml", "Pulumi.dev.yaml"]) {
    const text = readFileSync(join(ROOT, file), "utf8");
    const old = projectName();
    writeFileSync(
      join(folder, file),
      text.replaceAll(`${old}:`, `${NAME}:`).replace(`name: ${old}`, `name: ${NAME}`),
    );
  }
  return folder;
}
