import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { JOURNALS } from "../../../components/bundle/systemd/journals";
import type { BootedMachine } from "../container";
import { BYTES } from "../logSizes";
import { report } from "../report";

const { units, requests, unauthenticated } = JOURNALS;

/** Where messages go, that none is lost in a flood, and what they cost. */
export function logs(machine: () => BootedMachine): void {
  it("loses no line of a client in a flood of unauthenticated requests and connections that are no TLS", async () => {
    const box = machine();
    const client = box.client(await box.readKey());
    const since = `--since=@${Math.floor(Date.now() / 1000)}`;
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
    const gateway = await lines(box, requests.namespace, `-t qwen3_gateway ${since}`);
    const workers = await lines(box, requests.namespace, `-u 'qwen3-embed@*' ${since}`);
    const refused = await lines(box, unauthenticated.namespace, `-t qwen3_gateway ${since}`);
    const errors = await box.run(`journalctl --namespace=${units.namespace} -u nginx -o cat ${since}`);
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

  it(`takes at most ${BYTES.request} bytes on disk for a request, ${BYTES.unauthenticated} without a key`, async () => {
    const box = machine();
    const found = {
      request: await bytesOnDisk(box, requests.namespace, ["-t qwen3_gateway", "-u qwen3-embed@*"]),
      unauthenticated: await bytesOnDisk(box, unauthenticated.namespace, ["-t qwen3_gateway"]),
    };
    report("bytes on disk of a request", found);
    expect(found.request).toBeLessThan(BYTES.request);
    expect(found.unauthenticated).toBeLessThan(BYTES.unauthenticated);
  });

  it("are searched for keys in every namespace, also for keys in base64", async () => {
    const box = machine();
    const text = Buffer.from(`user:${await box.readKey()}`).toString("base64");
    const failed = async () => {
      const { checks } = JSON.parse(await box.run("qwen3-audit || true", 300_000)) as {
        checks: { name: string; ok: boolean; evidence: string }[];
      };
      return checks.filter(({ ok }) => !ok).map(({ name }) => name);
    };
    expect(await failed()).toEqual([]);
    try {
      await box.run(
        `umask 077; echo 'a ${text}' > /var/tmp/planted
        systemd-run --quiet --wait --collect --property=LogNamespace=qwen3-planted \
          --property=StandardInput=file:/var/tmp/planted cat`,
      );
      expect((await failed()).sort()).toEqual([
        "no key in files, packages and weights apart",
        "no key in the journals",
      ]);
    } finally {
      await box.run(`rm -f /var/tmp/planted; ${removal("qwen3-planted")}`);
    }
    expect(await failed()).toEqual([]);
  });
}

/** Shell code that removes a journal of these tests. */
function removal(namespace: string): string {
  return `systemctl stop 'systemd-journald@${namespace}.service'; rm -rf /var/log/journal/*.${namespace}`;
}

/**
 * Bytes per request of one line of each kind: the newest lines of a journal, written to a new one with new IDs and many
 * times, because a journal grows in steps of 8 MB.
 *
 * @param kinds arguments that select the lines of a kind
 */
async function bytesOnDisk(box: BootedMachine, from: string, kinds: string[]): Promise<number> {
  const [namespace, count] = ["qwen3-measure", 40_000];
  const configuration = `/etc/systemd/journald@${namespace}.conf`;
  const code = `
import json, socket, subprocess, uuid

def samples(kind):
    journal = ["journalctl", "--namespace=${from}", "-o", "cat", *kind.split()]
    lines = subprocess.run(journal, capture_output=True, text=True).stdout.splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")][-200:]

kinds = [samples(kind) for kind in ${JSON.stringify(kinds)}]
channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
channel.connect("/dev/log")
for number in range(${count}):
    for lines in kinds:
        line = {**lines[number % len(lines)], "request_id": uuid.uuid4().hex}
        channel.send(b"<190>Jan  1 00:00:00 qwen3_gateway: " + json.dumps(line, separators=(",", ":")).encode())
subprocess.run(["journalctl", "--namespace=${namespace}", "--sync"], check=True)
`;
  try {
    const printed = await box.run(
      `printf '[Journal]\nRateLimitIntervalSec=0\nSystemMaxUse=1G\n' > '${configuration}'
      echo ${Buffer.from(code).toString("base64")} | base64 -d |
        systemd-run --quiet --wait --pipe --collect --property=LogNamespace=${namespace} /usr/bin/python3 - &&
        journalctl --namespace=${namespace} -q -o cat | grep -c '^{'
      du -bc /var/log/journal/*.${namespace} | tail -1 | cut -f 1`,
      180_000,
    );
    const [lines, size] = printed.trim().split("\n").map(Number) as [number, number];
    expect(lines).toBe(count * kinds.length);
    return size / count;
  } finally {
    await box.run(`rm -f '${configuration}'; ${removal(namespace)}`);
  }
}

/** Lines of JSON in a journal. */
async function lines(
  box: BootedMachine,
  namespace: string,
  matches: string,
): Promise<Record<string, unknown>[]> {
  const text = await box.run(`journalctl --namespace=${namespace} ${matches} -o cat`, 60_000);
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
  const stream = (session: ClientHttp2Session) =>
    new Promise<void>((done) => {
      const request = session.request(headers, { endStream: false });
      request.on("response", ({ ":status": status }) => {
        counts.sent! += 1;
        counts[status!] = (counts[status!] ?? 0) + 1;
        request.close(constants.NGHTTP2_CANCEL);
      });
      request.resume();
      request.on("error", () => done()).on("close", () => done());
    });
  const streams = async () => {
    while (!ended) {
      const session = connectHttp2(origin, {
        ca: box.output("caCertificate"),
        checkServerIdentity: () => undefined,
      });
      session.on("error", () => undefined);
      // nginx ends a connection after 1000 requests.
      while (!ended && !session.closed && !session.destroyed) {
        await Promise.all(Array.from({ length: 100 }, () => stream(session)));
      }
      session.destroy();
    }
  };
  const hellos = async () => {
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
