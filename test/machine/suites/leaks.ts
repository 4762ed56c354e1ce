import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { leaderPid } from "../../../local/container";
import type { BootedMachine } from "../container";

/** The last suite: searches every place where no key may be for every key that any suite used. */
export function leaks(machine: () => BootedMachine): void {
  it("has left no key that was used: on the host, on the instance, in printed output", async () => {
    const box = machine();
    // Without the prefix, so that a truncated key is found as well.
    const needles = [...box.keys].map((key) => key.replace(/^qwen3_/, ""));
    expect(needles.length).toBeGreaterThan(10);
    const planted = "planted-in-a-file-on-the-machine";
    await box.run(`echo ${planted} > /var/tmp/planted && echo ${planted} > /run/planted`);
    const { found, places, megabytes } = await search(box, needles);
    console.log(`searched for ${needles.length} keys: ${places} places, ${megabytes.toFixed(0)} MB`);
    expect(found).toEqual([]);
    expect(places).toBeGreaterThan(500);
    // Shows that the search finds a key that is there.
    const control = await search(box, [planted]);
    expect(control.found.map((path) => path.replace(/^.*\//, ""))).toEqual(["planted", "planted"]);
  });
}

/** The places that contain any of these texts. */
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
  look(
    "the instance's journals",
    await box.run("journalctl --namespace='*' --no-pager --all --output=cat", 120_000),
  );
  look("the units' properties", await box.run("systemctl show --all 'qwen3-*' nginx"));
  look("what commands printed", box.printed.join("\n"));
  return { found, places, megabytes };
}

/** The environment's folder with the instance's own disk layer, and the instance's folders in memory. */
function files(box: BootedMachine): [string, string][] {
  const root = `/proc/${leaderPid(box.instanceId)}/root`;
  const inMemory = ["run", "tmp", "dev/shm"].map((folder) => join(root, folder));
  return [box.environment.state, ...inMemory].flatMap((folder) => walk(folder)).map((file) => [file, file]);
}

function walk(folder: string): string[] {
  return attempt(() => readdirSync(folder, { withFileTypes: true }), []).flatMap((entry) => {
    const path = join(folder, entry.name);
    // The instance's root is a mount in another namespace; its own layer is next to it.
    if (entry.isDirectory() && !/\/machines\/[^/]+\/(root|work)$/.test(path)) {
      return walk(path);
    }
    return entry.isFile() && attempt(() => statSync(path).size, 0) > 0 ? [path] : [];
  });
}

/** The result of `look`, or `otherwise` if the file has just been removed. */
function attempt<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}

/** Arguments and environments of every process on the host, including the instance's. */
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
