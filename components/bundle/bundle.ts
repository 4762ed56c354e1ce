import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pack } from "tar-stream";
import { contractScript, contractShell } from "./contractFiles";
import type { BundleConfig } from "./instanceConfig";
import { nginxConf } from "./nginx";
import { journaldFiles } from "./systemd/journals";
import { units } from "./systemd/units";
import { tuneProperties } from "./systemd/workerUnit";

const machineDir = join(__dirname, "..", "..", "machine");

/** Lock files of what an instance installs, with the hash of each file. */
export const LOCKS = ["requirements.lock", "installer.lock"].map((name) => join(machineDir, name));

/** Identifies the contents of the locks. A complete mirror of packages is marked with it. */
export function lockId(): string {
  const hash = createHash("sha256");
  for (const path of LOCKS) {
    hash.update(readFileSync(path));
  }
  return hash.digest("hex").slice(0, 16);
}

/** One archive with everything that does not fit into the user data. */
export interface Bundle {
  /** An uncompressed tar: its bytes depend only on its files, not on the version of a compressor. */
  content: Buffer;
  /** SHA-256 of `content`, hexadecimal. */
  sha256: string;
}

interface Entry {
  name: string;
  content: Buffer;
  mode: number;
}

/** Renders the bundle for one kind of instance. */
export async function renderBundle(config: BundleConfig): Promise<Bundle> {
  const content = await tar(entries(config));
  return { content, sha256: createHash("sha256").update(content).digest("hex") };
}

function entries(config: BundleConfig): Entry[] {
  const rendered = units(config);
  return [
    file("install.sh", "install.sh"),
    file("installer.lock", "installer.lock"),
    file("requirements.lock", "requirements.lock"),
    file("bin/qwen3-audit", "bin/qwen3-audit", 0o755),
    file("bin/qwen3-check", "bin/qwen3-check", 0o755),
    file("bin/qwen3-drain", "bin/qwen3-drain", 0o755),
    file("bin/qwen3-tune", "bin/qwen3-tune", 0o755),
    file("needrestart.conf", "needrestart.conf"),
    file("nginx/auth.js", "gateway/auth.js"),
    text("nginx/contract.js", contractScript()),
    text("nginx/nginx.conf", nginxConf(config)),
    text("contract.sh", contractShell()),
    text("tune.properties", tuneProperties(config.accelerator)),
    ...Object.entries(journaldFiles()).map(([name, content]) => text(`journald/${name}`, content)),
    ...tree("lib/qwen3", "qwen3"),
    ...(config.accelerator === "cpu" ? tree("lib-cpu", "cpu") : []),
    ...Object.entries(rendered.files).map(([name, content]) => text(`units/${name}`, content)),
    text("enable", `${rendered.enable.join("\n")}\n`),
  ].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function file(name: string, source: string, mode = 0o644): Entry {
  return { name, content: readFileSync(join(machineDir, source)), mode };
}

function text(name: string, content: string): Entry {
  return { name, content: Buffer.from(content), mode: 0o644 };
}

function tree(name: string, source: string): Entry[] {
  return readdirSync(join(machineDir, source), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(py|json)$/.test(entry.name))
    .map((entry) => {
      const path = join(entry.parentPath, entry.name).slice(join(machineDir, source).length + 1);
      return file(`${name}/${path}`, join(source, path));
    });
}

async function tar(files: Entry[]): Promise<Buffer> {
  const archive = pack();
  for (const { name, content, mode } of files) {
    archive.entry({ name, mode, mtime: new Date(0), uid: 0, gid: 0 }, content);
  }
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}
