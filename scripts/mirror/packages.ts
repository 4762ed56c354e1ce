import { readFileSync } from "node:fs";
import { LOCKS } from "../../components/bundle/bundle";
import type { RemoteFile } from "./store";

export { lockId } from "../../components/bundle/bundle";

/** An entry of a lock: one version of a project, and the digests of its files that may be installed. */
export interface Requirement {
  name: string;
  version: string;
  /** SHA-256, hexadecimal. */
  hashes: string[];
}

const PARALLEL = 8;

/** The packages that an instance installs. */
export function readLocks(): Requirement[] {
  return LOCKS.flatMap((path) => parseLock(readFileSync(path, "utf8")));
}

/** Reads a lock in the format of `uv export`. @throws Error for a line that it cannot read */
export function parseLock(text: string): Requirement[] {
  const requirements: Requirement[] = [];
  for (const line of text.replaceAll("\\\n", " ").split("\n")) {
    if (/^\s*(#|$)/.test(line)) {
      continue;
    }
    const match = /^([\w.-]+)(?:\[[\w,.-]+\])?==([^\s;]+)/.exec(line);
    const hashes = [...line.matchAll(/--hash=sha256:([0-9a-f]{64})/g)].map(([, hash]) => hash!);
    if (!match || hashes.length === 0) {
      throw new Error(`a line of the lock is not NAME==VERSION with hashes: ${line.slice(0, 100)}`);
    }
    requirements.push({ name: match[1]!, version: match[2]!, hashes });
  }
  return requirements;
}

/** The files of an index that the requirements name by hash, each once. */
export async function wheelFiles(index: string, requirements: Requirement[]): Promise<RemoteFile[]> {
  const files = new Map<string, RemoteFile>();
  const waiting = [...requirements];
  const worker = async () => {
    for (let requirement = waiting.shift(); requirement; requirement = waiting.shift()) {
      for (const file of await filesOf(index, requirement)) {
        files.set(file.name, file);
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  return [...files.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** @throws Error if the index does not have a file that the lock names */
async function filesOf(index: string, { name, version, hashes }: Requirement): Promise<RemoteFile[]> {
  const url = `${index}/${name.toLowerCase().replace(/[-_.]+/g, "-")}/`;
  const reply = await fetch(url, { headers: { accept: "application/vnd.pypi.simple.v1+json" } });
  if (!reply.ok) {
    throw new Error(`${url} returned ${reply.status}`);
  }
  const { files } = (await reply.json()) as {
    files: { filename: string; url: string; hashes: { sha256?: string } }[];
  };
  return hashes.map((sha256) => {
    const file = files.find((each) => each.hashes.sha256 === sha256);
    if (!file) {
      throw new Error(`${url} has no file of ${name} ${version} with SHA-256 ${sha256}`);
    }
    return { name: file.filename, url: new URL(file.url, reply.url).href, digest: { sha256 } };
  });
}
