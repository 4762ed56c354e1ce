import { connect as connectHttp2 } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { JOURNALS } from "../../../components/bundle/systemd/journals";
import type { BootedMachine } from "../container";
import { report } from "../report";

const { units, requests, unauthenticated } = JOURNALS;
/** Bytes on disk of a request's lines, nginx's and the worker's, and of an unauthenticated request's line. */
const BYTES_PER_REQUEST = 2500;
const BYTES_UNAUTHENTICATED = 1300;

/** Where messages go, that none is lost in a flood, and what they cost. */
export function logs(machine: () => BootedMachine): void {
  it("loses no line of a client in a flood of unauthenticated requests and connections that are no TLS", async () => {
    const box = machine();
    const client = box.client(await box.readKey());
    const flood = startFlood(box);
    const ids: string[] = [];
    try {
      await sleep(1000);
      for (let count = 0; count < 500; count += 1) {
        const reply = await client.send({ method: "GET", path: "/v1/models", authorization: "key" });
        expect(reply.status).toBe(200);
        ids.push(String(reply.headers["x-request-id"]));
      }
    } finally {
      await flood.end();
      await client.close();
    }
    await sleep(1000);
    const gateway = await lines(box, requests.namespace, "-t qwen3_gateway");
    const workers = await lines(box, requests.namespace, "-u 'qwen3-embed@*'");
    const refused = await lines(box, unauthenticated.namespace, "-t qwen3_gateway");
    const errors = await box.run(`journalctl --namespace=${units.namespace} -u nginx -o cat --since -1min`);
    report("flood of unauthenticated requests", { ...flood.counts, lines: refused.length });
    const missing = (found: Record<string, unknown>[]) => {
      const logged = new Set(found.map((line) => line.request_id));
      return ids.filter((id) => !logged.has(id));
    };
    expect(missing(gateway)).toEqual([]);
    expect(missing(workers)).toEqual([]);
    expect(flood.counts.sent).toBeGreaterThan(5000);
    expect(flood.counts[429]).toBeGreaterThan(0.8 * flood.counts.sent!);
    expect(refused.length).toBeLessThan(flood.counts.sent! / 10);
    expect(errors).toBe("");
  });

  it("writes a message of nginx once, and none of a request to the system's journal or to syslog", async () => {
    const box = machine();
    const received = "/tmp/syslog";
    // What a syslog daemon would receive.
    await box.run(
      `systemd-run --quiet --unit=test-syslog --collect /usr/bin/python3 -c '
import os, socket
path = "/run/systemd/journal/syslog"
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind(path)
with open("${received}", "wb", 0) as file:
    while True:
        file.write(server.recv(65536) + bytes([10]))
'`,
    );
    try {
      await sleep(1000);
      await box.run("logger control; kill -9 $(pgrep -u www-data -x nginx | head -1)");
      const key = await box.readKey();
      expect(await box.status(key)).toBe(200);
      expect(await box.status(`${key}x`)).toBe(401);
      await sleep(1000);
      const since = "--since -1min -o cat";
      const own = await box.run(`journalctl --namespace=${units.namespace} -u nginx ${since}`);
      expect(own.match(/worker process \d+ exited on signal 9/g), own).toHaveLength(1);
      const system = await box.run(`journalctl ${since}`);
      const copied = await box.run(`cat ${received}`);
      for (const text of [system, copied]) {
        expect(text).toContain("control");
        expect(text).not.toMatch(/request_id|exited on signal/);
      }
    } finally {
      await box.run(`systemctl stop test-syslog; rm -f /run/systemd/journal/syslog ${received}`);
    }
  });

  it(`takes at most ${BYTES_PER_REQUEST} bytes on disk for a request, ${BYTES_UNAUTHENTICATED} without a key`, async () => {
    const box = machine();
    const measure = async (namespace: string, kinds: string[]) => {
      // Real lines, many times, because a journal grows in steps of 8 MB.
      const printed = await box.run(
        `/usr/bin/python3 -c '
import json, os, socket, subprocess, uuid
namespace, kinds = "${namespace}", ${JSON.stringify(kinds)}
journal = ["journalctl", "--namespace=" + namespace, "-o", "cat", "-n", "200"]
samples = [subprocess.run([*journal, *kind.split()], capture_output=True, text=True).stdout.splitlines() for kind in kinds]
channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
channel.connect("/run/systemd/journal.qwen3-measure/dev-log")
for count in range(40000):
    for lines in samples:
        line = json.loads(lines[count % len(lines)])
        line["request_id"] = uuid.uuid4().hex
        channel.send(b"<190>Jan  1 00:00:00 qwen3_gateway: " + json.dumps(line, separators=(",", ":")).encode())
'
journalctl --namespace=qwen3-measure --sync
journalctl --namespace=qwen3-measure -o cat -q | wc -l
du -bc /var/log/journal/*.qwen3-measure | tail -1 | cut -f 1`,
        120_000,
      );
      const [count, size] = printed.trim().split("\n").map(Number) as [number, number];
      expect(count).toBe(40_000 * kinds.length);
      return size / 40_000;
    };
    const start = "systemctl start systemd-journald@qwen3-measure.socket";
    const remove =
      "systemctl stop 'systemd-journald*@qwen3-measure*'; rm -rf /var/log/journal/*.qwen3-measure";
    const configuration =
      "printf '[Journal]\\nRateLimitIntervalSec=0\\n' > /etc/systemd/journald@qwen3-measure.conf";
    const sizes: number[] = [];
    for (const [namespace, kinds] of [
      [requests.namespace, ["-t qwen3_gateway", "-t python _COMM=python"]],
      [unauthenticated.namespace, ["-t qwen3_gateway"]],
    ] as const) {
      await box.run(`${configuration}; ${start}`);
      try {
        sizes.push(await measure(namespace, [...kinds]));
      } finally {
        await box.run(remove);
      }
    }
    report("bytes on disk", { "of a request": sizes[0], "without a valid key": sizes[1] });
    expect(sizes[0]).toBeLessThan(BYTES_PER_REQUEST);
    expect(sizes[1]).toBeLessThan(BYTES_UNAUTHENTICATED);
  });

  it("are searched for keys in every namespace, also for keys in base64", async () => {
    const box = machine();
    const key = await box.readKey();
    const planted = "systemd-journald@qwen3-planted.socket";
    const audit = async () =>
      JSON.parse(await box.run("qwen3-audit || true", 300_000)) as {
        checks: { name: string; ok: boolean; evidence: string }[];
      };
    const failed = ({ checks }: Awaited<ReturnType<typeof audit>>) =>
      checks.filter(({ ok }) => !ok).map(({ name }) => name);
    const text = Buffer.from(`user:${key}`).toString("base64");
    expect(failed(await audit())).toEqual([]);
    try {
      await box.run(
        `systemctl start ${planted} && echo 'a ${text}' | /usr/bin/python3 -c '
import socket, sys
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(
    b"<190>x: " + sys.stdin.buffer.read(), "/run/systemd/journal.qwen3-planted/dev-log")'
        sleep 1; echo ${text} > /var/tmp/planted`,
      );
      const found = await audit();
      expect(failed(found).sort()).toEqual([
        "no key in files, packages and weights apart",
        "no key in the journals",
      ]);
      expect(JSON.stringify(found)).not.toContain(key);
    } finally {
      await box.run(
        `rm -f /var/tmp/planted; systemctl stop 'systemd-journald*@qwen3-planted*'; rm -rf /var/log/journal/*.qwen3-planted`,
      );
    }
    expect(failed(await audit())).toEqual([]);
  });
}

/** Lines of JSON in a journal from the last two minutes. */
async function lines(
  box: BootedMachine,
  namespace: string,
  matches: string,
): Promise<Record<string, unknown>[]> {
  const text = await box.run(`journalctl --namespace=${namespace} ${matches} -o cat --since -2min`, 60_000);
  return text
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
}

/** Unauthenticated requests that nginx refuses by their size, over HTTP/2, and invalid ClientHellos, without a pause. */
function startFlood(box: BootedMachine) {
  const { origin, hostname: host } = new URL(box.output("endpoint"));
  const counts: Record<string, number> = { sent: 0, hellos: 0 };
  let ended = false;
  const headers = { ":method": "POST", ":path": "/v1/embeddings", "content-length": String(2 ** 40) };
  const streams = async () => {
    while (!ended) {
      const session = connectHttp2(origin, {
        ca: box.output("caCertificate"),
        checkServerIdentity: () => undefined,
      });
      session.on("error", () => undefined);
      for (let part = 0; part < 50 && !ended; part += 1) {
        await Promise.all(
          Array.from({ length: 100 }, () => {
            const stream = session.request(headers, { endStream: false });
            return new Promise<void>((done) => {
              stream.on("response", (fields) => {
                counts.sent! += 1;
                const status = fields[":status"]!;
                counts[status] = (counts[status] ?? 0) + 1;
              });
              stream.on("error", () => done());
              stream.on("close", () => done());
            });
          }),
        );
      }
      session.destroy();
    }
  };
  const hellos = async () => {
    const { connect } = await import("node:net");
    while (!ended) {
      await new Promise<void>((done) => {
        const socket = connect(443, host, () => socket.end(Buffer.from("16030100050100000101ff", "hex")));
        socket.on("close", () => done()).on("error", () => done());
        socket.resume();
      });
      counts.hellos! += 1;
    }
  };
  const running = [streams(), streams(), hellos(), hellos()];
  return {
    counts,
    end: async () => {
      ended = true;
      await Promise.all(running);
    },
  };
}
