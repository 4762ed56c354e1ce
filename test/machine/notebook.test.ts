import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT } from "../../local/paths";
import { unsupported } from "../../local/preflight";
import { run } from "../../local/process";
import { examplesPython } from "./clients/packages";
import { type Sandbox, useSandbox } from "./sandbox";

const NOTEBOOK = join(ROOT, "examples", "quickstart.ipynb");
/** KEY_PREFIX of components/apiKey.ts and what follows it. */
const ANY_KEY = /qwen3_[0-9A-Za-z]{16,}/;

interface Notebook {
  cells: {
    id: string;
    cell_type: string;
    source: string | string[];
    outputs?: { text?: string | string[]; data?: Record<string, string | string[]> }[];
    execution_count?: number | null;
  }[];
}

describe("the notebook as it is kept", () => {
  it("has no output and no key", () => {
    const text = readFileSync(NOTEBOOK, "utf8");
    expect(text).not.toMatch(ANY_KEY);
    for (const { outputs, execution_count: count } of (JSON.parse(text) as Notebook).cells) {
      expect([outputs ?? [], count ?? null]).toEqual([[], null]);
    }
  });
});

describe.skipIf(unsupported() !== undefined)("the notebook", () => {
  let sandbox: Sandbox;
  let folder: string;

  beforeAll(async () => {
    sandbox = await useSandbox();
    folder = mkdtempSync(join(tmpdir(), "qwen3-notebook-"));
    cpSync(NOTEBOOK, join(folder, "examples", "quickstart.ipynb"), { recursive: true });
    cpSync(join(ROOT, "examples", "corpus"), join(folder, "examples", "corpus"), { recursive: true });
  });

  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await sandbox?.release();
  });

  it("runs from its first cell to its last with the .env that npm run env writes, and shows no key", async () => {
    const file = join(folder, ".env");
    execFileSync("npm", ["run", "--silent", "env", "--", "--stack", sandbox.name, "--write", file], {
      cwd: ROOT,
      stdio: "ignore",
    });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const python = await examplesPython();
    const notebook = join(folder, "examples", "quickstart.ipynb");
    const executed = await run(python, [join(__dirname, "clients", "execute_notebook.py"), notebook], {
      env: { PATH: process.env.PATH, HOME: folder },
      timeoutMs: 300_000,
    });
    expect(executed).not.toMatch(ANY_KEY);
    const { cells } = JSON.parse(executed) as Notebook;
    const output = (id: string) =>
      (cells.find((cell) => cell.id === id)?.outputs ?? [])
        .map(({ text, data }) => [text ?? data?.["text/plain"] ?? ""].flat().join(""))
        .join("");
    expect(output("client")).toContain(sandbox.outputs.model);
    expect(output("documents")).toBe("(260, 2560) vectors of length 1.0\n");
    expect(output("queries")).toMatch(
      /Why does ice float[^\n]*\n( {2}-?\d\.\d{4} {2}.+\n){3}蝙蝠.*\n( {2}-?\d\.\d{4} {2}.+\n){3}$/,
    );
    expect(output("dimensions")).toMatch(/^ 2560 .*\n 1024 .*\n {2}256 .*\n$/);
  });
});
