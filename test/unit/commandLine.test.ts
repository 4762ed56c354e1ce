import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";

const root = join(__dirname, "..", "..");

/** Loads the program through the compiler and the options that Pulumi's Node.js language host uses. */
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

it.each(["check", "transpile"])("is a program that the plain command line loads (%s)", (mode) => {
  const printed = execFileSync(process.execPath, ["--eval", LOADER, mode], { cwd: root, encoding: "utf8" });
  expect(printed).toBe("function\n");
});
