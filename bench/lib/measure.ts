import { connectionsOf, type Pace, run, type Window } from "./load";
import type { Measured } from "./report";
import { checkReply, type Endpoint, promptTokens, Sender, type Shape } from "./sender";
import { generator } from "./statistics";
import { Texts, wordsFor } from "./texts";

export interface Plan {
  endpoints: readonly Endpoint[];
  shapes: readonly Shape[];
  pace: Pace;
  /** Per shape and endpoint. */
  seconds: number;
  /** Number of windows into which each endpoint's time is divided. */
  windows: number;
  /** Processor time of an endpoint's processes so far, in seconds. */
  cpuSeconds?(endpoint: number): number;
}

export interface Progress {
  advance(what: string, requests: number, errors: number): void;
}

const WARM_UP_REQUESTS = 3;

/**
 * Measures every shape on every endpoint. Two endpoints alternate, A B B A A B B A, so that a drift of the computer
 * affects both equally.
 *
 * @throws Error if an endpoint does not respond correctly to a first request of each shape
 */
export async function measure(plan: Plan, progress: Progress): Promise<Measured[]> {
  const senders = plan.endpoints.map((endpoint) => new Sender(endpoint, connectionsOf(plan.pace)));
  const random = generator(Date.now());
  try {
    const measured: Measured[] = [];
    for (const shape of plan.shapes) {
      const words = await calibrate(senders[0]!, shape, random);
      const seed = Math.floor(random() * 2 ** 32);
      const sources = await Promise.all(senders.map((sender) => prepare(sender, shape, words, seed)));
      measured.push({ shape, windows: await takeTurns(plan, shape, senders, sources, random, progress) });
    }
    return measured;
  } finally {
    await Promise.all(senders.map((sender) => sender.close()));
  }
}

/** Number of words of a text, by this endpoint's tokenizer. */
function calibrate(sender: Sender, shape: Shape, random: () => number): Promise<number> {
  const count = async (text: string) => {
    const reply = await sender.send(sender.body(JSON.stringify(text), "base64"));
    checkReply(reply, { batch: 1, tokens: 0, format: "base64" });
    return promptTokens(reply.body);
  };
  return wordsFor(shape.tokens, count, random);
}

/** Makes the same texts for every endpoint, because lengths affect the comparison, and warms up the endpoint. */
async function prepare(sender: Sender, shape: Shape, words: number, seed: number): Promise<Texts> {
  const texts = new Texts(words, generator(seed));
  for (let i = 0; i < WARM_UP_REQUESTS; i++) {
    checkReply(await sender.send(sender.body(texts.input(shape.batch), shape.format)), shape);
  }
  return texts;
}

async function takeTurns(
  { endpoints, pace, seconds, windows: turns, cpuSeconds }: Plan,
  shape: Shape,
  senders: readonly Sender[],
  sources: readonly Texts[],
  random: () => number,
  progress: Progress,
): Promise<Window[][]> {
  const windows: Window[][] = endpoints.map(() => []);
  let requests = 0;
  let errors = 0;
  for (let turn = 0; turn < turns; turn++) {
    const order = endpoints.map((_, i) => i);
    for (const i of turn % 2 === 0 ? order : order.reverse()) {
      const each = ({ status }: { status: number | string }) => {
        requests += 1;
        errors += status === 200 ? 0 : 1;
        progress.advance(endpoints[i]!.name, requests, errors);
      };
      const before = cpuSeconds?.(i);
      const window = await run(senders[i]!, sources[i]!, shape, pace, seconds / turns, random, each);
      const cpu = before === undefined ? {} : { cpuSeconds: cpuSeconds!(i) - before };
      windows[i]!.push({ ...window, ...cpu });
    }
  }
  return windows;
}
