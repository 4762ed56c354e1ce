import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import ts from "typescript";
import { expect, it } from "vitest";
import { ROOT } from "../../scripts/lib/paths";

const page = readFileSync(join(ROOT, "docs/evidence/provider-version.md"), "utf8");

/** The program's sources that declare resources or look something up. */
const sources = readdirSync(join(ROOT, "components"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts") && !name.startsWith("plugin"))
  .map((name) => join(ROOT, "components", name));

/** `ec2.Instance`, `ec2.getVpc`, `getRegion`, …: the resources and functions of `@pulumi/aws` that a source uses. */
function usesOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  const modules = [...text.matchAll(/import \* as (\w+) from "@pulumi\/aws\/(\w+)"/g)];
  const imported = [...text.matchAll(/import \{ (get\w+) \} from "@pulumi\/aws\/\w+"/g)];
  return [
    ...imported.map(([, name]) => name!),
    ...modules.flatMap(([, alias, module]) => [
      ...[...text.matchAll(new RegExp(`new ${alias}\\.(\\w+)\\(`, "g"))].map(
        ([, name]) => `${module}.${name}`,
      ),
      ...[...text.matchAll(new RegExp(`\\b${alias}\\s*\\.(get\\w+?)(?:Output)?\\(`, "g"))].map(
        ([, name]) => `${module}.${name}`,
      ),
    ]),
  ];
}

/** The cells of the rows whose first cell is code, in one section of the page. */
function rows(heading: string): string[][] {
  const section = page.split(/^## /m).find((part) => part.startsWith(heading)) ?? "";
  return section
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) => line.split("|").map((cell) => cell.trim().replaceAll("`", "")));
}

const used = [...new Set(sources.flatMap(usesOf))].sort();
const isLookup = (name: string) => /(^|\.)get/.test(name);

it("the page lists every resource that the program uses, and no other", () => {
  const resources = used.filter((name) => !isLookup(name));
  expect(resources.length).toBeGreaterThan(30);
  expect(rows("Resources").map(([, name]) => name)).toEqual(resources);
});

it("the page lists every function that the program uses, and no other", () => {
  const lookups = used.filter(isLookup);
  expect(lookups.length).toBeGreaterThan(5);
  expect(rows("Functions").map(([, name]) => name)).toEqual(lookups);
});

it("the page gives each resource the Terraform type that the provider tests applied", () => {
  const applied = readFileSync(join(ROOT, "docs/evidence/provider-layer-resources.md"), "utf8");
  const types = [...applied.matchAll(/^\| (aws_\w+) \|/gm)].map(([, type]) => type!);
  const listed = rows("Resources").map(([, , type]) => type!);
  expect([...listed].sort()).toEqual(types.sort());
});

it("the page is about the installed version of @pulumi/aws", () => {
  const manifest = join(ROOT, "node_modules/@pulumi/aws/package.json");
  const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string };
  expect(page).toContain(`\`@pulumi/aws\` ${version}`);
});

it("the program uses nothing that @pulumi/aws marks as deprecated", { timeout: 120_000 }, () => {
  expect(deprecatedUses([...sources, join(ROOT, "index.ts")])).toEqual([]);
});

/** `FILE: MESSAGE` for every use of a declaration with `@deprecated`, as an editor strikes it through. */
function deprecatedUses(files: string[]): string[] {
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(ROOT, "tsconfig.json"), ts.sys.readFile).config,
    ts.sys,
    ROOT,
  );
  const service = ts.createLanguageService({
    ...ts.sys,
    useCaseSensitiveFileNames: () => ts.sys.useCaseSensitiveFileNames,
    getScriptFileNames: () => files,
    getScriptVersion: () => "1",
    getScriptSnapshot: (file) =>
      existsSync(file) ? ts.ScriptSnapshot.fromString(readFileSync(file, "utf8")) : undefined,
    getCompilationSettings: () => options,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
  });
  return files.flatMap((file) =>
    service
      .getSuggestionDiagnostics(file)
      .filter(({ reportsDeprecated }) => reportsDeprecated)
      .map(
        ({ messageText }) => `${relative(ROOT, file)}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`,
      ),
  );
}
