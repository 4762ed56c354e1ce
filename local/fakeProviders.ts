import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { CACHE, ROOT } from "../scripts/lib/paths";

/** Node's cache of compiled programs, which it names by their content and its own version. */
const COMPILED = join(CACHE, "fakes", "compiled");

export type FakeProvider = "aws" | "command" | "random" | "tls";

/**
 * Writes the fakes of these providers into an otherwise empty folder for PATH, where the engine finds them.
 *
 * Each is bundled into one file: the engine starts every provider anew for each refresh and each update, and a bundle
 * loads in a third of the time. Node keeps what it has compiled, which halves the time of the largest once more.
 */
export async function writeFakeProviders(folder: string, names: readonly FakeProvider[]): Promise<void> {
  const programs = await bundle(names);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const node = join(ROOT, "node_modules", ".bin", "node");
  for (const [name, program] of programs) {
    const script = join(folder, `pulumi-resource-${name}`);
    const line = `NODE_COMPILE_CACHE="${COMPILED}" exec "${node}" "${program}" "$@"`;
    writeFileSync(script, `#!/bin/sh\n${line}\n`);
    chmodSync(script, 0o755);
  }
}

/** The file of each fake in the cache, named by its content. */
async function bundle(names: readonly FakeProvider[]): Promise<[FakeProvider, string][]> {
  const { outputFiles } = await build({
    entryPoints: names.map((name) => join(ROOT, "local", "fakes", "serve", `${name}.ts`)),
    outdir: "bundles",
    bundle: true,
    write: false,
    platform: "node",
    target: "node24",
    // A module's unused parts are left out, so that EC2's client, the largest, loads in half of the time.
    mainFields: ["module", "main"],
    logLevel: "error",
    // Not for the commands that a provider runs.
    banner: { js: "delete process.env.NODE_COMPILE_CACHE;" },
    // The engine ends a provider before Node would write its cache by itself.
    footer: { js: 'setTimeout(() => require("node:module").flushCompileCache(), 0).unref();' },
    // The bundle is not where its sources are.
    define: { "process.env.QWEN3_ROOT": JSON.stringify(ROOT) },
  });
  return names.map((name) => {
    const { contents } = outputFiles.find(({ path }) => path.endsWith(`/${name}.js`))!;
    return [name, store(name, contents)];
  });
}

function store(name: string, contents: Uint8Array): string {
  const id = createHash("sha256").update(contents).digest("hex").slice(0, 16);
  const file = join(CACHE, "fakes", `${name}-${id}.js`);
  if (!existsSync(file)) {
    mkdirSync(join(CACHE, "fakes"), { recursive: true });
    const partial = `${file}.partial-${process.pid}`;
    writeFileSync(partial, contents);
    renameSync(partial, file);
  }
  return file;
}
