import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { EngineEvent } from "@pulumi/pulumi/automation";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { unsupported } from "../../local/preflight";
import { type EngineEnvironment, startEngineEnvironment } from "./environment";

/**
 * Ctrl-C while the verification waits for an endpoint that does not exist. Only the engine gets the signal: a terminal
 * would send it to the whole process group, a CI runner may not.
 */
describe.skipIf(unsupported() !== undefined)("an update that is interrupted during its verification", () => {
  let environment: EngineEnvironment;
  beforeAll(async () => {
    environment = await startEngineEnvironment({ configuration: "Pulumi.local.yaml", verifies: true });
  });
  afterAll(async () => {
    await environment?.stop();
  });

  it("ends at once with everything that it started, and leaves no lock", async () => {
    const { stack, backend } = environment;
    const events: EngineEvent[] = [];
    const ended = stack.up({ onEvent: (event) => events.push(event) }).then(
      () => "succeeded",
      (error: Error) => error.message,
    );
    await expect.poll(verifications, { timeout: 120_000 }).not.toEqual([]);
    // Its first progress line: it runs, and does not only start.
    await expect.poll(() => messages(events), { timeout: 30_000 }).toMatch(/waiting|no response/i);
    const started = verifications().flatMap((each) => [each, ...descendants(each)]);
    const engine = processes().find(({ parent, args }) => parent === process.pid && /pulumi up/.test(args))!;

    const begin = Date.now();
    process.kill(engine.pid, "SIGINT");
    expect(await ended).toMatch(/cancel|signal: killed/i);
    const seconds = (Date.now() - begin) / 1000;
    console.log(`measured: the engine ended ${seconds.toFixed(1)} s after the signal`);
    expect(seconds).toBeLessThan(15);

    const left = () => {
      const alive = new Set(processes().map(({ pid }) => pid));
      return started.filter(({ pid }) => alive.has(pid));
    };
    await expect.poll(left, { timeout: 10_000 }).toEqual([]);
    expect(locks(backend)).toEqual([]);
  });
});

interface Process {
  pid: number;
  parent: number;
  args: string;
}

/** From /proc. */
function processes(): Process[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const fields = readFileSync(`/proc/${name}/stat`, "utf8").split(") ").at(-1)!.split(" ");
        const args = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ").trim();
        return [{ pid: Number(name), parent: Number(fields[1]), args }];
      } catch {
        // It has ended.
        return [];
      }
    });
}

/** The verifications that this test's engine runs. */
function verifications(): Process[] {
  return descendants({ pid: process.pid }).filter(({ args }) => args.includes("cli.ts verify --from-env"));
}

function descendants({ pid }: { pid: number }): Process[] {
  return processes()
    .filter(({ parent }) => parent === pid)
    .flatMap((child) => [child, ...descendants(child)]);
}

function messages(events: EngineEvent[]): string {
  return events.map(({ diagnosticEvent }) => diagnosticEvent?.message ?? "").join("");
}

/** Files in the backend's folder of locks. */
function locks(backend: string): string[] {
  return readdirSync(backend, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.parentPath.includes(join(".pulumi", "locks")))
    .map(({ name }) => name);
}
