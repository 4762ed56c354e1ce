import { cpSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { run } from "../../../local/process";
import { ROOT } from "../../../scripts/lib/paths";
import { type ApplicationFolder, npm } from "./folder";
import { examplesPython } from "./packages";

const NOTEBOOK = join(ROOT, "examples", "quickstart.ipynb");
/** KEY_PREFIX of components/keys/apiKey.ts and the characters after it. */
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

/** examples/quickstart.ipynb, from the .env file to its last cell. */
export function notebook(open: () => ApplicationFolder): void {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "qwen3-notebook-"));
    cpSync(NOTEBOOK, join(folder, "examples", "quickstart.ipynb"), { recursive: true });
    cpSync(join(ROOT, "examples", "corpus"), join(folder, "examples", "corpus"), { recursive: true });
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("is stored without an output and without a key", () => {
    const text = readFileSync(NOTEBOOK, "utf8");
    expect(text).not.toMatch(ANY_KEY);
    for (const { outputs, execution_count: count } of (JSON.parse(text) as Notebook).cells) {
      expect([outputs ?? [], count ?? null]).toEqual([[], null]);
    }
  });

  it("runs from its first cell to its last with the .env file of npm run env, and shows no key", async () => {
    const file = join(folder, ".env");
    await npm("run", "--silent", "env", "--", "--stack", open().name, "--write", file);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const python = await examplesPython();
    const notebook = join(folder, "examples", "quickstart.ipynb");
    const executed = await run(python, [join(__dirname, "execute_notebook.py"), notebook], {
      env: { PATH: process.env.PATH, HOME: folder },
      timeoutMs: 300_000,
    });
    expect(executed).not.toMatch(ANY_KEY);
    const { cells } = JSON.parse(executed) as Notebook;
    const output = (id: string) =>
      (cells.find((cell) => cell.id === id)?.outputs ?? [])
        .map(({ text, data }) => [text ?? data?.["text/plain"] ?? ""].flat().join(""))
        .join("");
    expect(output("client")).toContain(open().outputs.model);
    expect(output("documents")).toBe("(260, 2560) vectors of length 1.0\n");
    expect(output("queries")).toMatch(
      /Why does ice float[^\n]*\n( {2}-?\d\.\d{4} {2}.+\n){3}蝙蝠.*\n( {2}-?\d\.\d{4} {2}.+\n){3}$/,
    );
    expect(output("dimensions")).toMatch(/^ 2560 .*\n 1024 .*\n {2}256 .*\n$/);
  });
}
