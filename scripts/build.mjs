import { execFileSync } from "node:child_process";
import { cpSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

// Builds what npm pack packs: the compiled components and commands, and the files that instances install.
const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const dist = join(root, "dist");
rmSync(dist, { recursive: true, force: true });
execFileSync("tsc", ["--project", join(root, "tsconfig.build.json")], { stdio: "inherit", cwd: root });
const skipped = new Set(["tests", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"]);
cpSync(join(root, "machine"), join(dist, "machine"), {
  recursive: true,
  filter: (path) => !skipped.has(basename(path)),
});
