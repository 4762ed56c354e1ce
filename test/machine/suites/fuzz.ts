import { spawn } from "node:child_process";
import { join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { expect, it } from "vitest";
import { FIRST_WORKER_PORT } from "../../../components/bundle/contract";
import { leaderPid } from "../../../local/container";
import { pythonWith } from "../../../local/python";
import { ROOT } from "../../../scripts/lib/paths";
import type { BootedMachine } from "../container";
import { LONG } from "../effort";
import { report } from "../report";

const FOLDER = join(ROOT, "test", "machine", "fuzz");
/** Another one finds other requests; this one is repeatable. */
const SEED = "20261125";

interface Outcome {
  requests: number;
  seconds: number;
  statuses: Record<string, number>;
  faults: unknown[];
}

/** Requests by schemathesis' examples per route, by the grammar through nginx, and to a worker: over 20,000 in the long run. */
const COUNTS = LONG
  ? { examples: 1000, gateway: 16_000, worker: 4000 }
  : { examples: 250, gateway: 4000, worker: 2000 };

/** Requests that no sensible client sends: none breaks a worker, and each response has OpenAI's shape. */
export function fuzz(machine: () => BootedMachine): void {
  it("answers what schemathesis makes of docs/reference/openapi.yaml as that says", async () => {
    const box = machine();
    const outcome = await unharmed(box, "schemathesis", async () =>
      python(
        ["schema.py", join(ROOT, "docs/reference/openapi.yaml"), String(COUNTS.examples), SEED],
        await target(box),
      ),
    );
    expect(outcome.requests).toBeGreaterThan(1.5 * COUNTS.examples);
    expect(outcome.statuses["200"]).toBeGreaterThan(COUNTS.examples / 10);
  });

  it(`answers ${COUNTS.gateway} requests of a grammar of crash vectors in OpenAI's shape, through nginx`, async () => {
    const box = machine();
    const outcome = await unharmed(box, "grammar, through nginx", async () =>
      python(["grammar.py", String(COUNTS.gateway), "540", SEED], await target(box)),
    );
    expect(outcome.requests).toBe(COUNTS.gateway);
    expect(outcome.statuses["200"]).toBeGreaterThan(COUNTS.gateway / 32);
  });

  it(`answers ${COUNTS.worker} of them in the worker too, without nginx in front`, async () => {
    const box = machine();
    const direct = { ...(await target(box)), host: "127.0.0.1", port: FIRST_WORKER_PORT, ca: null };
    const outcome = await unharmed(box, "grammar, to the worker", () =>
      python(["grammar.py", String(COUNTS.worker), "180", `${SEED}1`], direct, leaderPid(box.instanceId)),
    );
    expect(outcome.requests).toBe(COUNTS.worker);
  });
}

async function target(box: BootedMachine) {
  const host = new URL(box.output("endpoint")).hostname;
  const { key, model, ca } = {
    key: await box.readKey(),
    model: box.output("model"),
    ca: box.output("caCertificate"),
  };
  return { host, port: 443, ca, key, model };
}

/** Runs it, and finds no fault, no restart and the same workers afterwards. */
async function unharmed(box: BootedMachine, name: string, run: () => Promise<Outcome>): Promise<Outcome> {
  const before = await box.servingPids();
  const outcome = await run();
  const { faults, ...figures } = outcome;
  report(`fuzz by ${name}`, figures);
  expect(faults).toEqual([]);
  expect(await box.servingPids()).toBe(before);
  return outcome;
}

/** Runs one of the programs, in the network of a machine if its init is named; the key goes in by standard input. */
async function python(args: string[], input: unknown, machine?: number): Promise<Outcome> {
  const interpreter = await pythonWith(join(FOLDER, "requirements.lock"));
  const [program, ...rest] = args;
  const command = [interpreter, join(FOLDER, program!), ...rest];
  const [file, ...more] = machine ? ["nsenter", "--net", "--target", String(machine), ...command] : command;
  const child = spawn(file!, more, { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(JSON.stringify(input));
  return JSON.parse(await readText(child.stdout)) as Outcome;
}
