import { spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type TLSSocket } from "node:tls";
import { expect, it } from "vitest";
import { median, quantile } from "../../../bench/lib/statistics";
import type { Reply } from "../../../scripts/verify/client";
import type { BootedMachine } from "../container";
import { Load } from "../load";
import { report } from "../report";

/** More requests than the workers can process, with and without keys. */
export function overload(machine: () => BootedMachine): void {
  it("embeds 128 texts of 512 tokens and one of 32,000 tokens through nginx", async () => {
    const box = machine();
    const key = await box.readKey();
    const seconds: Record<string, string> = {};
    for (const [name, input, count] of [
      ["128 × 512", Array(128).fill("x".repeat(511)), 128],
      ["1 × 32,000", "y".repeat(31_999), 1],
    ] as const) {
      const begin = Date.now();
      const { status, json } = await box.embed(key, input);
      seconds[name] = ((Date.now() - begin) / 1000).toFixed(1);
      expect(status).toBe(200);
      const { data, usage } = json as { data: { index: number }[]; usage: { prompt_tokens: number } };
      expect(data.map(({ index }) => index)).toEqual(Array.from({ length: count }, (_, index) => index));
      // The tiny model's tokenizer makes one token per byte.
      expect(usage.prompt_tokens).toBe(count === 1 ? 32_000 : 128 * 512);
    }
    report("large requests, s", seconds);
  });

  it("rejects excess requests promptly, keeps its memory, and serves another client", async () => {
    const box = machine();
    const [greedy, modest] = [await box.readKey(), await box.readKey("AWSCURRENT", "search")];
    const beside = await Load.start(box, { clients: 2, pauseMs: 100 }, modest);
    await sleep(5000);
    const calm = beside.outcomes.length;
    const before = await memory(box);
    const refused: number[] = [];
    const statuses: Record<string, number> = {};
    let failed = false;
    const client = box.client(greedy);
    // The time to open 700 connections at once is the test's own, not the server's.
    const connected = Date.now() + 5000;
    const end = Date.now() + 30_000;
    const texts = Array(2).fill("greedy ".repeat(8));
    await Promise.all(
      Array.from({ length: 700 }, async () => {
        while (Date.now() < end && !failed) {
          const begin = Date.now();
          const reply = await client.send({
            method: "POST",
            path: "/v1/embeddings",
            authorization: "key",
            body: { model: box.output("model"), input: texts },
          });
          statuses[reply.status] = (statuses[reply.status] ?? 0) + 1;
          if (reply.status !== 200) {
            failed ||= !isOverload(reply);
            if (begin > connected) {
              refused.push(Date.now() - begin);
            }
            // As OpenAI's clients do.
            await sleep(Number(reply.headers["retry-after"]) * 1000);
          }
        }
      }),
    );
    await client.close();
    expect(failed).toBe(false);
    const after = await memory(box);
    await beside.end();
    refused.sort((a, b) => a - b);
    const percentile = (share: number) => refused[Math.floor(share * (refused.length - 1))]! / 1000;
    report("overload by 700 connections of one client", {
      statuses,
      "refused within, s": `p50 ${percentile(0.5).toFixed(2)}, p95 ${percentile(0.95).toFixed(2)}, p99 ${percentile(0.99).toFixed(2)}`,
      "memory before and after, MB": [before, after],
      "the other client": `${calm} responses in 5 s before, ${beside.outcomes.length - calm} in 30 s during, ${beside.failed.length} failed`,
    });
    expect(refused.length).toBeGreaterThan(100);
    // The 700 clients share the two cores with what they test.
    expect(percentile(0.5)).toBeLessThan(0.5);
    expect(percentile(0.95)).toBeLessThan(2);
    expect(after - before).toBeLessThan(1500);
    expect(beside.failed).toEqual([]);
    // The client waits only for what is in the engine already.
    expect(beside.outcomes.length - calm).toBeGreaterThan(4);
    const waits = beside.outcomes.map(({ milliseconds }) => milliseconds);
    expect(quantile(waits, 0.9)).toBeLessThan(20_000);
    expect(Math.max(...waits)).toBeLessThan(40_000);
  });

  it("limits the slowdown of a client by unauthenticated requests to a tenth, and counts them", async () => {
    const box = machine();
    const traffic = await Load.start(box, { clients: 1, pauseMs: 20 });
    await sleep(3000);
    const flood = startFlood(box, 300);
    const medians: Record<"on" | "off", number[]> = { on: [], off: [] };
    try {
      for (let turn = 0; turn < 8; turn += 1) {
        const state = turn % 2 === 0 ? "off" : "on";
        flood.signal(state === "on" ? "SIGCONT" : "SIGSTOP");
        await sleep(1000);
        const from = Date.now();
        await sleep(4000);
        const times = traffic.outcomes.filter(({ at }) => at >= from).map(({ milliseconds }) => milliseconds);
        medians[state].push(median(times));
      }
    } finally {
      await flood.end();
    }
    await traffic.end();
    // Other work on the computer only adds time, so the better windows show what the flood costs.
    const ratio = quantile(medians.on, 0.25) / quantile(medians.off, 0.25);
    report("300 unauthenticated requests per second", {
      "p50 of a client, flood off and on, ms": [medians.off, medians.on],
      ratio: ratio.toFixed(3),
      responses: flood.counts(),
    });
    expect(traffic.failed).toEqual([]);
    expect(ratio).toBeLessThan(1.1);
    // Requests beyond the address's limit get 429. The log has a hundredth of them, each with its weight.
    const logged = await box.run(
      "journalctl --namespace=qwen3-unauthenticated -t qwen3_gateway -o cat --since -2min | grep -o '\"weight\":[0-9]*' | cut -d: -f2 | awk '{n++; w+=$1} END {print n, w}'",
    );
    const [lines, weight] = logged.trim().split(" ").map(Number) as [number, number];
    const total = Object.values(flood.counts()).reduce((sum, count) => sum + count, 0);
    expect(lines).toBeLessThan(total / 2);
    expect(weight / total).toBeGreaterThan(0.5);
    expect(weight / total).toBeLessThan(2);
  });

  it("is not blocked by slow senders, slow readers and clients that disconnect", async () => {
    const box = machine();
    const key = await box.readKey();
    const host = new URL(box.output("endpoint")).hostname;
    const open = () =>
      connect({ host, port: 443, ca: box.output("caCertificate"), checkServerIdentity: () => undefined }).on(
        "error",
        () => undefined,
      );
    const body = JSON.stringify({
      model: box.output("model"),
      input: Array(512).fill("slow"),
      encoding_format: "float",
    });
    const head = (length: number) =>
      `POST /v1/embeddings HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${key}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;
    const sending = (text: string) => {
      const socket = open();
      return socket.on("secureConnect", () => socket.write(text));
    };
    const many = (count: number, make: () => TLSSocket) => Array.from({ length: count }, make);
    const sockets = [
      // Half a head, only a head, half a body; a request whose 14 MB response nobody reads; one that disconnects.
      ...many(200, () => sending("POST /v1/emb")),
      ...many(100, () => sending(head(body.length))),
      ...many(100, () => sending(head(body.length) + body.slice(0, 500))),
      ...many(8, () => sending(head(body.length) + body).pause()),
    ];
    const gone = many(8, () => {
      const socket = sending(head(body.length) + body);
      setTimeout(() => socket.destroy(), 300);
      return socket;
    });
    const closed = () =>
      sockets.filter(({ destroyed, readyState }) => destroyed || readyState === "closed").length;
    const traffic = await Load.start(box, { clients: 2, pauseMs: 100 });
    await sleep(45_000);
    await traffic.end();
    const ended = closed();
    for (const socket of [...sockets, ...gone]) {
      socket.destroy();
    }
    report("408 slow connections and 8 that disconnected", {
      requests: traffic.outcomes.length,
      failed: traffic.failed.length,
      "closed by the server within 45 s": ended,
    });
    expect(traffic.failed).toEqual([]);
    expect(ended).toBeGreaterThanOrEqual(400);
    // Nothing of it is left in a worker's queue.
    await sleep(2000);
    const begin = Date.now();
    expect((await box.embed(key)).status).toBe(200);
    expect(Date.now() - begin).toBeLessThan(5000);
  });
}

/** 429 or 503 in OpenAI's format, with Retry-After. */
function isOverload(reply: Reply): boolean {
  const { error } = reply.json as { error: { code: string } };
  const codes: Record<number, string> = { 429: "rate_limit_exceeded", 503: "service_unavailable" };
  return codes[reply.status] === error.code && Number(reply.headers["retry-after"]) > 0;
}

/** Memory of nginx and the workers, all processes together, in megabytes. */
async function memory(box: BootedMachine): Promise<number> {
  const sum =
    "ps -eo rss=,args= | grep -E 'nginx|qwen3.worker|sglang' | grep -v grep | awk '{sum += $1} END {print sum}'";
  return Math.round(Number(await box.run(sum)) / 1024);
}

/** Sends unauthenticated requests from a process of the lowest priority: a real sender would not share these cores. */
function startFlood(box: BootedMachine, perSecond: number) {
  const { origin } = new URL(box.output("endpoint"));
  const child = spawn(
    "nice",
    [
      "-n",
      "19",
      process.execPath,
      "--import",
      "tsx",
      join(__dirname, "..", "flood.ts"),
      origin,
      String(perSecond),
    ],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  let last = "{}";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    last = text.trim().split("\n").at(-1) || last;
  });
  child.stdin.end(box.output("caCertificate"));
  const ended = new Promise((done) => child.on("exit", done));
  return {
    signal: (name: NodeJS.Signals) => child.kill(name),
    counts: () => JSON.parse(last) as Record<string, number>,
    end: async () => {
      child.kill("SIGCONT");
      await sleep(1200);
      child.kill("SIGKILL");
      await ended;
    },
  };
}
