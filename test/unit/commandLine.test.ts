import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(__dirname, "..", "..");

/** Loads the program with the compiler and the options of Pulumi's Node.js language host. */
const LOADER = `
const sdk = require.resolve("@pulumi/pulumi/package.json");
const { loadTypeScriptCompilerOptions, typeScriptRequireStrings } = require("@pulumi/pulumi/tsutils");
const { tsnodeRequire, typescriptRequire } = typeScriptRequireStrings();
const find = (name) => require.resolve(name, { paths: [sdk] });
require(find(tsnodeRequire)).register({
  compiler: find(typescriptRequire),
  project: "tsconfig.json",
  transpileOnly: process.argv[1] === "transpile",
  compilerOptions: { target: "ES2020", sourceMap: "true", ...loadTypeScriptCompilerOptions("tsconfig.json") },
});
console.log(typeof require("./index"));
`;

describe.each([".", "examples/app"])("%s", (folder) => {
  const cwd = join(root, folder);

  it.each(["check", "transpile"])("is a program that the Pulumi command line can load (%s)", (mode) => {
    const printed = execFileSync(process.execPath, ["--eval", LOADER, mode], { cwd, encoding: "utf8" });
    expect(printed).toBe("function\n");
  });

  it("names its own entry point, because otherwise that of the nearest package.json above would run", () => {
    expect(JSON.parse(readFileSync(join(cwd, "package.json"), "utf8")).main).toBe("index.ts");
  });
});
