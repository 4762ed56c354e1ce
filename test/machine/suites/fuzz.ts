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
/** Makes the run repeatable. Another seed gives other requests. */
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

/** Malformed or unusual requests: none breaks a worker, each gets a response in the right format. */
export function fuzz(machine: () => BootedMachine): void {
  it("returns what docs/reference/openapi.yaml specifies for requests of schemathesis", async () => {
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

  it(`returns responses in OpenAI's format to ${COUNTS.gateway} requests of a grammar of crash vectors, through nginx`, async () => {
    const box = machine();
    const outcome = await unharmed(box, "grammar, through nginx", async () =>
      python(["grammar.py", String(COUNTS.gateway), "540", SEED], await target(box)),
    );
    expect(outcome.requests).toBe(COUNTS.gateway);
    expect(outcome.statuses["200"]).toBeGreaterThan(COUNTS.gateway / 32);
  });

  it(`does the same for ${COUNTS.worker} of them in the worker, without nginx`, async () => {
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

/** Runs it, and expects no fault, no restart and the same workers afterwards. */
async function unharmed(box: BootedMachine, name: string, run: () => Promise<Outcome>): Promise<Outcome> {
  const before = await box.servingPids();
  const outcome = await run();
  const { faults, ...figures } = outcome;
  report(`fuzz by ${name}`, figures);
  expect(faults).toEqual([]);
  expect(await box.servingPids()).toBe(before);
  return outcome;
}

/** Runs one of the programs, in the network of an instance if its init is given. The key is sent to standard input. */
async function python(args: string[], input: unknown, machine?: number): Promise<Outcome> {
  const interpreter = await pythonWith(join(FOLDER, "requirements.lock"));
  const [program, ...rest] = args;
  const command = [interpreter, join(FOLDER, program!), ...rest];
  const [file, ...more] = machine ? ["nsenter", "--net", "--target", String(machine), ...command] : command;
  const child = spawn(file!, more, { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(JSON.stringify(input));
  return JSON.parse(await readText(child.stdout)) as Outcome;
}
