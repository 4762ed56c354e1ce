import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "../../scripts/lib/paths";

/** The repository's folders that each folder may import from. All others belong to other layers. */
const LAYERS: Record<string, string[]> = {
  components: ["components", "machine/qwen3/contract.json"],
  policy: ["policy"],
  scripts: ["scripts", "components", "index"],
  local: ["local", "scripts/lib", "components", "examples/app"],
  bench: ["bench", "local", "scripts/lib", "components"],
};

/** Programs that are started directly, with a Node of any version. */
const ENTRY_POINTS = ["scripts/cli.ts", "local/cli.ts", "bench/cli.ts", "test/run.ts"];

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.m?tsx?$/.test(name) && !name.includes("node_modules"))
    .map((name) => join(folder, name));
}

/** A file's imports by relative paths, from the repository's root. */
function imports(file: string): string[] {
  const text = readFileSync(join(ROOT, file), "utf8");
  const specifiers = [
    ...text.matchAll(/(?:\bfrom|\bimport|\brequire|\bimport\.meta\.resolve)\s*\(?\s*["'](\.[^"']*)["']/g),
  ];
  return specifiers.map(([, path]) => normalize(join(dirname(file), path!)));
}

describe.each(Object.entries(LAYERS))("%s", (folder, allowed) => {
  it(`imports only from ${allowed.join(", ")}`, () => {
    const files = sources(folder);
    expect(files.length).toBeGreaterThan(3);
    const found = files.flatMap((file) =>
      imports(file)
        .filter((path) => !allowed.some((layer) => path === layer || path.startsWith(`${layer}/`)))
        .map((path) => `${file} imports ${path}`),
    );
    expect(found).toEqual([]);
  });
});

it("finds every form of import", () => {
  expect(imports("scripts/cli.ts")).toContain("scripts/lib/nodeVersion");
  expect(imports("scripts/verify/command.ts")).toContain("scripts/verify/main");
  expect(imports("test/unit/layers.test.ts")).toContain("scripts/lib/paths");
});

it.each(ENTRY_POINTS)("%s checks Node's version before anything else loads", (file) => {
  expect(imports(file)[0]).toBe("scripts/lib/nodeVersion");
  const [first] = readFileSync(join(ROOT, file), "utf8").split("\n");
  expect(first).toMatch(/^import ".*\/nodeVersion";$/);
});
