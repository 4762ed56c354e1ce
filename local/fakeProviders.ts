import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { CACHE, ROOT } from "../scripts/lib/paths";

export type FakeProvider = "aws" | "command" | "random" | "tls";

/**
 * Writes the fakes of these providers into an empty folder for PATH, where the engine finds them.
 *
 * They are bundled into one file: the engine starts each provider anew for every refresh and update, and a bundle
 * loads in a third of the time.
 */
export async function writeFakeProviders(folder: string, names: readonly FakeProvider[]): Promise<void> {
  const program = await bundle();
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const node = join(ROOT, "node_modules", ".bin", "node");
  for (const name of names) {
    const script = join(folder, `pulumi-resource-${name}`);
    writeFileSync(
      script,
      `#!/bin/sh\nexport NODE_COMPILE_CACHE="${join(CACHE, "fakes", "compiled")}"\nexec "${node}" --enable-source-maps "${program}" ${name} "$@"\n`,
    );
    chmodSync(script, 0o755);
  }
}

/** Bundles the fakes into one file in the cache, named by its content. */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(ROOT, "local", "fakes", "main.ts")],
    bundle: true,
    write: false,
    platform: "node",
    target: "node24",
    sourcemap: "inline",
    sourcesContent: false,
    logLevel: "error",
    // The bundle is in another folder than its sources.
    define: { "process.env.QWEN3_ROOT": JSON.stringify(ROOT) },
  });
  const { contents } = outputFiles[0]!;
  const id = createHash("sha256").update(contents).digest("hex").slice(0, 16);
  const file = join(CACHE, "fakes", `${id}.js`);
  if (!existsSync(file)) {
    mkdirSync(join(CACHE, "fakes"), { recursive: true });
    const partial = `${file}.partial-${process.pid}`;
    writeFileSync(partial, contents);
    renameSync(partial, file);
  }
  return file;
}
