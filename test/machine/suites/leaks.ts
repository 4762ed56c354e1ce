import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { leaderPid } from "../../../local/container";
import type { BootedMachine } from "../container";

/** Last of all suites: every key that any of them used is searched for, wherever it must not be. */
export function leaks(machine: () => BootedMachine): void {
  it("has left no key of all that were used: on the host, on the machine, in what was printed", async () => {
    const box = machine();
    // Without the prefix, so that a key of which a part was cut off is found as well.
    const needles = [...box.keys].map((key) => key.replace(/^qwen3_/, ""));
    expect(needles.length).toBeGreaterThan(10);
    const planted = "planted-in-a-file-on-the-machine";
    await box.run(`echo ${planted} > /var/tmp/planted && echo ${planted} > /run/planted`);
    const { found, places, megabytes } = await search(box, needles);
    console.log(`searched for ${needles.length} keys: ${places} places, ${megabytes.toFixed(0)} MB`);
    expect(found).toEqual([]);
    expect(places).toBeGreaterThan(500);
    // The search finds what is there.
    const control = await search(box, [planted]);
    expect(control.found.map((path) => path.replace(/^.*\//, ""))).toEqual(["planted", "planted"]);
  });
}

/** Where any of these texts stands. */
async function search(box: BootedMachine, needles: string[]) {
  const found: string[] = [];
  let places = 0;
  let megabytes = 0;
  const look = (where: string, text: string) => {
    places += 1;
    megabytes += text.length / 1e6;
    if (needles.some((needle) => text.includes(needle))) {
      found.push(where);
    }
  };
  for (const [file, where] of [...files(box), ...processes()]) {
    look(where, readText(file));
  }
  look("the machine's journal", await box.run("journalctl --no-pager --all --output=cat", 120_000));
  look("the units' properties", await box.run("systemctl show --all 'qwen3-*' nginx"));
  look("what commands printed", box.printed.join("\n"));
  return { found, places, megabytes };
}

/** The environment's folder with the machine's own layer of disk, and the machine's folders in memory. */
function files(box: BootedMachine): [string, string][] {
  const root = `/proc/${leaderPid(box.instanceId)}/root`;
  const inMemory = ["run", "tmp", "dev/shm"].map((folder) => join(root, folder));
  return [box.environment.state, ...inMemory].flatMap((folder) => walk(folder)).map((file) => [file, file]);
}

function walk(folder: string): string[] {
  return attempt(() => readdirSync(folder, { withFileTypes: true }), []).flatMap((entry) => {
    const path = join(folder, entry.name);
    // The machine's root is a mount of another namespace; its own layer is beside it.
    if (entry.isDirectory() && !/\/machines\/[^/]+\/(root|work)$/.test(path)) {
      return walk(path);
    }
    return entry.isFile() && attempt(() => statSync(path).size, 0) > 0 ? [path] : [];
  });
}

/** What is there, or something else where it has just gone. */
function attempt<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}

/** Arguments and environments of every process of the host, the machine's among them. */
function processes(): [string, string][] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) =>
      ["cmdline", "environ"].map(
        (file) => [`/proc/${pid}/${file}`, `${file} of process ${pid}`] as [string, string],
      ),
    );
}

function readText(file: string): string {
  return attempt(() => readFileSync(file, "latin1"), "");
}
