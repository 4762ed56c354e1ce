import { setTimeout as sleep } from "node:timers/promises";
import { describeError, excerpt } from "../lib/text";
import type { EndpointClient, Reply } from "./client";

export interface WaitOptions {
  timeoutMs: number;
  pollMs: number;
  progress(line: string): void;
}

export interface Waited {
  ready: boolean;
  seconds: number;
  /** The last state. */
  state: string;
}

/** How often an unchanged state is reported again. */
const REMINDER_MS = 30_000;
/** Instances notice a new key within 15 seconds; beyond this a refused key is a failure. */
export const KEY_WAIT_MS = 30_000;
/** Any instance of a fleet may respond: no response may differ for longer than the key agents take between two polls. */
export const FLEET_AGREES_MS = 6000;
/** Between two requests while a fleet notices a key: many, because each goes to another instance. */
const FLEET_POLL_MS = 500;

/** Polls GET /health until it reports ready, and shows what it waits for. */
export function waitForHealth(client: EndpointClient, options: WaitOptions): Promise<Waited> {
  return waitFor({ ...options, done: "the endpoint is ready" }, async () => {
    try {
      return healthState(await client.send({ method: "GET", path: "/health" }));
    } catch (error) {
      return connectionState(error as Error);
    }
  });
}

/**
 * After a rotation the endpoint may be ready before it knows the current key.
 *
 * @param settledMs how long no response may be 401: the instances of a fleet notice a key one after another
 */
export function waitForKey(client: EndpointClient, options: WaitOptions, settledMs = 0): Promise<Waited> {
  let accepted: number | undefined;
  const pollMs = settledMs > 0 ? Math.min(options.pollMs, FLEET_POLL_MS) : options.pollMs;
  return waitFor({ ...options, pollMs, done: "the current key is accepted" }, async () => {
    try {
      const reply = await client.send({ method: "GET", path: "/v1/models", authorization: "key" });
      if (reply.status === 401) {
        accepted = undefined;
        return "401: the endpoint does not have the current key yet";
      }
    } catch {
      return undefined;
    }
    accepted ??= Date.now();
    return Date.now() - accepted >= settledMs
      ? undefined
      : "another instance may not have the current key yet";
  });
}

/** @param look returns undefined if there is nothing to wait for, else the state */
async function waitFor(
  { timeoutMs, pollMs, progress, done }: WaitOptions & { done: string },
  look: () => Promise<string | undefined>,
): Promise<Waited> {
  const start = Date.now();
  let told = { state: "", at: 0 };
  for (;;) {
    const state = await look();
    const elapsed = Date.now() - start;
    if (state === undefined) {
      progress(`${clock(elapsed)}  ${done}`);
      return { ready: true, seconds: Math.round(elapsed / 1000), state: done };
    }
    if (state !== told.state || elapsed - told.at >= REMINDER_MS) {
      progress(`${clock(elapsed)}  waiting: ${state}`);
      told = { state, at: elapsed };
    }
    if (elapsed + pollMs > timeoutMs) {
      return { ready: false, seconds: Math.round(elapsed / 1000), state };
    }
    await sleep(pollMs);
  }
}

function healthState(reply: Reply): string | undefined {
  if (reply.status === 200) {
    return undefined;
  }
  const status = (reply.json as { status?: unknown } | undefined)?.status;
  return reply.status === 503
    ? `503 ${typeof status === "string" ? status : ""}: nginx is running, the workers are loading the model`
    : `/health returned ${reply.status}: ${excerpt(reply.text, 80)}`;
}

function connectionState(error: Error & { code?: string }): string {
  switch (error.code) {
    case "ECONNREFUSED":
      return "connection refused: the instance is still installing, nginx is not running yet";
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `${error.code}: the endpoint's name does not resolve`;
    case "ETIMEDOUT":
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "UND_ERR_CONNECT_TIMEOUT":
      return `${error.code}: the instance is not up yet, or the setting allowedCidrs does not include this address`;
    default:
      return /CERT|SSL|TLS|SIGNATURE/.test(error.code ?? "")
        ? `TLS: ${error.code}: the certificate is not the one that the exported CA signed for this host`
        : describeError(error);
  }
}

/** Milliseconds as minutes and seconds, `12:05`. */
function clock(elapsed: number): string {
  const seconds = Math.floor(elapsed / 1000);
  return `${String(Math.floor(seconds / 60)).padStart(3)}:${String(seconds % 60).padStart(2, "0")}`;
}
