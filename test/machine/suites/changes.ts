import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type TLSSocket } from "node:tls";
import { expect, it } from "vitest";
import { listInstances } from "../../../local/container";
import { ROOT } from "../../../scripts/lib/paths";
import { variables } from "../application/folder";
import { examplesPython, nodePackages } from "../application/packages";
import type { BootedMachine } from "../container";
import { Load } from "../load";
import { report } from "../report";

const APPLICATION = join(ROOT, "test/machine/application");
const SETTING = "qwen3-embedding-stack:";

/** A changed instance beside the old one: what clients notice, and what a bad change does. */
export function changes(machine: () => BootedMachine): void {
  it("replaces the instance under load: no call of OpenAI's clients fails, no connection is left behind", async () => {
    const box = machine();
    const before = box.instanceId;
    const idle = await idleConnection(box);
    const clients = await startClients(box);
    const raw = await Load.start(box);
    const begin = Date.now();
    const printed = await change(box, { maxInputs: "1024" });
    const seconds = (Date.now() - begin) / 1000;
    await sleep(3000);
    const [python, node] = await Promise.all(clients.map((client) => client.end()));
    const outcomes = await raw.end();
    const handover = printed.match(/after ([\d.]+) s: (\d+) open connections/);
    report("a changed instance under load", {
      "seconds of the update": seconds,
      "seconds in which the old instance completed its requests": handover?.[1],
      "connections that the move cut": handover?.[2],
      python,
      node,
      "raw requests": outcomes.length,
      "raw requests failed": raw.failed.map(({ text }) => text),
      "slowest raw request, ms": Math.max(...outcomes.map(({ milliseconds }) => milliseconds)),
    });
    expect(box.instanceId).not.toBe(before);
    expect(listInstances().map(({ instanceId }) => instanceId)).toEqual([box.instanceId]);
    expect(printed).toMatch(/both return the same vectors for 3 texts, cosine (1\.0|0\.9999)/);
    expect(python).toMatchObject({ failed: [] });
    expect(node).toMatchObject({ failed: [] });
    expect(Math.min(python!.calls, node!.calls, outcomes.length)).toBeGreaterThan(100);
    // An idle connection is closed, so that its client does not send into nothing.
    expect(idle.destroyed || idle.readableEnded).toBe(true);
    expect(handover?.[2]).toBe("0");
    // Without a retry, a request can meet the close of an idle connection.
    expect(raw.failed.length).toBeLessThan(4);
  });

  it("keeps the address where it is if the new instance never serves, ends that one, and undoing creates nothing", async () => {
    const box = machine();
    const before = box.instanceId;
    const pids = await box.servingPids();
    const traffic = await Load.start(box);
    const wrong = { modelSha256: "0".repeat(64), verificationTimeoutSeconds: "60" };
    const stack = await box.stack();
    const right = await stack.getAllConfig();
    const error = await change(box, wrong).then(
      () => new Error("the update passed"),
      (failure: Error) => failure,
    );
    expect(error.message).toMatch(/does not serve after 60 s/);
    expect(error.message).toMatch(/SHA256SUMS/);
    expect(error.message).toMatch(new RegExp(`${before} keeps the address and was not changed`));
    await expect.poll(() => running(box), { timeout: 30_000 }).toEqual([before]);
    for (const name of Object.keys(wrong)) {
      const old = right[SETTING + name];
      await (old ? stack.setConfig(SETTING + name, old) : stack.removeConfig(SETTING + name));
    }
    const { summary } = await stack.up({ suppressProgress: true, color: "never" });
    await traffic.end();
    report("a bad change under load", { requests: traffic.outcomes.length, failed: traffic.failed.length });
    // The component's record of its settings changes back; the refresh has removed the terminated instance.
    expect(Object.keys(summary.resourceChanges ?? {}).sort()).toEqual(["same", "update"]);
    expect(box.instanceId).toBe(before);
    expect(listInstances().map(({ instanceId }) => instanceId)).toEqual([before]);
    expect(await box.servingPids()).toBe(pids);
    expect(traffic.failed).toEqual([]);
    expect(traffic.outcomes.length).toBeGreaterThan(100);
  });
}

/** Sets settings and runs the program again. @returns what the engine printed */
async function change(box: BootedMachine, settings: Record<string, string>): Promise<string> {
  const stack = await box.stack();
  for (const [name, value] of Object.entries(settings)) {
    await stack.setConfig(SETTING + name, { value });
  }
  const before = box.printed.length;
  await box.up();
  return box.printed.slice(before).join("\n");
}

/** IDs of the instances whose operating system runs. */
async function running(box: BootedMachine): Promise<string[]> {
  const ids = listInstances().map(({ instanceId }) => instanceId);
  const up = await Promise.all(ids.map((id) => box.isRunning(id)));
  return ids.filter((_, i) => up[i]);
}

/** A TLS connection that sends nothing after its first response, as a pool of connections keeps them. */
async function idleConnection(box: BootedMachine): Promise<TLSSocket> {
  const { hostname } = new URL(box.output("endpoint"));
  const socket = connect({ host: hostname, port: 443, ca: box.output("caCertificate") });
  await once(socket, "secureConnect");
  socket.write(`GET /health HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`);
  await once(socket, "data");
  socket.resume();
  socket.on("error", () => undefined);
  return socket;
}

interface Steady {
  calls: number;
  failed: string[];
  /** Seconds. */
  slowest: number;
}

/** OpenAI's clients for Python and Node, with their defaults, in processes of their own. */
async function startClients(box: BootedMachine): Promise<{ end(): Promise<Steady> }[]> {
  const folder = mkdtempSync(join(tmpdir(), "qwen3-steady-"));
  copyFileSync(join(APPLICATION, "steady.mjs"), join(folder, "steady.mjs"));
  const given = await variables({ name: box.name });
  const trust = { SSL_CERT_FILE: given.EMBEDDING_CA_FILE, NODE_EXTRA_CA_CERTS: given.EMBEDDING_CA_FILE };
  symlinkSync(join(await nodePackages(), "node_modules"), join(folder, "node_modules"));
  const env = { PATH: process.env.PATH, HOME: folder, ...given, ...trust };
  const children = [
    spawn(await examplesPython(), [join(APPLICATION, "steady.py")], { env }),
    spawn(process.execPath, [join(folder, "steady.mjs")], { cwd: folder, env }),
  ];
  let left = children.length;
  return children.map((child) => {
    const stdout = readText(child.stdout);
    const stderr = readText(child.stderr);
    return {
      end: async () => {
        try {
          return await result(child, stdout, stderr);
        } finally {
          left -= 1;
          if (left === 0) {
            rmSync(folder, { recursive: true, force: true });
          }
        }
      },
    };
  });
}

async function result(
  child: ChildProcess,
  stdout: Promise<string>,
  stderr: Promise<string>,
): Promise<Steady> {
  child.stdin!.end();
  const [status] = (await once(child, "close")) as [number];
  expect(status, await stderr).toBe(0);
  return JSON.parse(await stdout) as Steady;
}
