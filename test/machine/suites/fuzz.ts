import { spawn } from "node:child_process";
import { join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { expect, it } from "vitest";
import { FIRST_WORKER_PORT } from "../../../components/bundle/contract";
import { leaderPid } from "../../../local/container";
import { pythonWith } from "../../../local/python";
import { ROOT } from "../../../scripts/lib/paths";
import type { BootedMachine } from "../container";
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

/** At least 20,000 malformed or unusual requests: none breaks a worker, each gets a response in the right format. */
export function fuzz(machine: () => BootedMachine): void {
  it("returns what docs/reference/openapi.yaml specifies for requests of schemathesis", async () => {
    const box = machine();
    const outcome = await unharmed(box, "schemathesis", async () =>
      python(["schema.py", join(ROOT, "docs/reference/openapi.yaml"), "1000", SEED], await target(box)),
    );
    expect(outcome.requests).toBeGreaterThan(1500);
    expect(outcome.statuses["200"]).toBeGreaterThan(100);
  });

  it("returns responses in OpenAI's format to 16,000 requests of a grammar of crash vectors, through nginx", async () => {
    const box = machine();
    const outcome = await unharmed(box, "grammar, through nginx", async () =>
      python(["grammar.py", "16000", "540", SEED], await target(box)),
    );
    expect(outcome.requests).toBe(16_000);
    expect(outcome.statuses["200"]).toBeGreaterThan(500);
  });

  it("does the same for 4,000 of them in the worker, without nginx", async () => {
    const box = machine();
    const direct = { ...(await target(box)), host: "127.0.0.1", port: FIRST_WORKER_PORT, ca: null };
    const outcome = await unharmed(box, "grammar, to the worker", () =>
      python(["grammar.py", "4000", "180", `${SEED}1`], direct, leaderPid(box.instanceId)),
    );
    expect(outcome.requests).toBe(4000);
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
