import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../../local/process";
import { pythonWith } from "../../../local/python";
import { CACHE, ROOT } from "../../../scripts/lib/paths";

/** The Python environment with which the examples are tested. */
export function examplesPython(): Promise<string> {
  return pythonWith(join(ROOT, "examples", "requirements.lock"));
}

/** A folder with the packages of examples/clients/package-lock.json in `node_modules`, made once per content. */
export async function nodePackages(): Promise<string> {
  const clients = join(ROOT, "examples", "clients");
  const id = createHash("sha256")
    .update(readFileSync(join(clients, "package-lock.json")))
    .digest("hex");
  const folder = join(CACHE, "node", id.slice(0, 16));
  if (!existsSync(join(folder, ".complete"))) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    for (const file of ["package.json", "package-lock.json"]) {
      copyFileSync(join(clients, file), join(folder, file));
    }
    await run("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts"], { cwd: folder });
    writeFileSync(join(folder, ".complete"), "");
  }
  return folder;
}
