import { setTimeout as sleep } from "node:timers/promises";
import { type Outcome, promptTokens, type Sender, type Shape } from "./sender";
import { arrivals } from "./statistics";
import type { Texts } from "./texts";

/** `connections`: closed loop, each sends again once it has its reply. `rate`: open loop, requests per second. */
export type Pace = { connections: number } | { rate: number };

/** Requests of one kind to one endpoint during a period of time. */
export interface Window {
  outcomes: Outcome[];
  /** From its start until its last reply. For a closed loop, the average over its connections. */
  seconds: number;
  /** Processor time of the endpoint's own processes, if they run on this computer and are measured. */
  cpuSeconds?: number;
}

/** Connections of an open loop. If all of them are busy, further requests wait. */
export const OPEN_CONNECTIONS = 1024;

/** A client's pause after a failed connection: a loop of refused connections would measure nothing. */
const UNREACHED_MS = 100;

export function connectionsOf(pace: Pace): number {
  return "rate" in pace ? OPEN_CONNECTIONS : pace.connections;
}

/** @param each called with every outcome as it arrives */
export async function run(
  sender: Sender,
  texts: Texts,
  shape: Shape,
  pace: Pace,
  seconds: number,
  random: () => number,
  each: (outcome: Outcome) => void = () => undefined,
): Promise<Window> {
  const outcomes: Outcome[] = [];
  const begin = performance.now();
  const ask = async (due?: number) => {
    const body = sender.body(texts.input(shape.batch), shape.format);
    const at = due ?? performance.now() - begin;
    const reply = await sender.send(body);
    const outcome = {
      at,
      milliseconds: performance.now() - begin - at,
      status: reply.status,
      tokens: reply.status === 200 ? promptTokens(reply.body) : 0,
      bytes: reply.body.length,
    };
    outcomes.push(outcome);
    each(outcome);
    return outcome;
  };
  const elapsed = () => (performance.now() - begin) / 1000;
  if ("rate" in pace) {
    await open(ask, arrivals(pace.rate, seconds, random), begin);
    return { outcomes, seconds: elapsed() };
  }
  return { outcomes, seconds: await closed(ask, pace.connections, seconds, elapsed) };
}

/** @returns how long its connections were busy, on average: while the last reply arrives, the others have ended */
async function closed(
  ask: () => Promise<Outcome>,
  connections: number,
  seconds: number,
  elapsed: () => number,
): Promise<number> {
  const busy = await Promise.all(
    Array.from({ length: connections }, async () => {
      while (elapsed() < seconds) {
        const { status } = await ask();
        if (typeof status === "string") {
          await sleep(UNREACHED_MS);
        }
      }
      return elapsed();
    }),
  );
  return busy.reduce((sum, each) => sum + each, 0) / connections;
}

/** Sends at each of these times, regardless of earlier requests. */
async function open(ask: (due: number) => Promise<unknown>, times: number[], begin: number): Promise<void> {
  const asked: Promise<unknown>[] = [];
  for (const due of times) {
    const left = begin + due - performance.now();
    if (left > 0) {
      await sleep(left);
    }
    asked.push(ask(due));
  }
  await Promise.all(asked);
}
