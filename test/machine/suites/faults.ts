import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { FIRST_WORKER_PORT } from "../../../components/bundle/contract";
import { JOURNALS } from "../../../components/bundle/systemd/journals";
import { leaderPid, rebootInstance } from "../../../local/container";
import type { BootedMachine } from "../container";
import { Load, type Outcome } from "../load";
import { report } from "../report";

/** WatchdogSec of the units: a worker that hangs is ended within this time. */
const WATCHDOG_SECONDS = 15;
const CLIENTS = 4;

interface Fault {
  name: string;
  /** A command on the instance. */
  strike: string;
  /** A command that succeeds once the fault is over. Without one, the responses show it. */
  recovered?: string;
  /** Repairs what does not recover by itself. */
  repair?: string;
  /** Maximum number of failed requests: those in progress. */
  failed: number;
  /** Seconds until it has recovered, on two shared cores. */
  within: number;
}

/** Empty, which is an error for kill, for a unit that is between two processes: 0 would be every process. */
const pid = (unit: string) => `$(systemctl show -P MainPID ${unit} | grep -v '^0$')`;
const worker = "qwen3-embed@0";
const restarted = (unit: string, before: string) =>
  `[ "$(systemctl is-active ${unit})" = active ] && [ "$(systemctl show -P MainPID ${unit})" != "$(cat /tmp/${before})" ]`;
const note = (unit: string, file: string) => `echo ${pid(unit)} > /tmp/${file}`;

/**
 * Faults under load, with two workers: what fails, and how long the recovery takes. python/test_worker.py tests that a
 * worker ends with its scheduler, or when that hangs; for this suite, these are the first row.
 */
const FAULTS: Fault[] = [
  {
    name: "kill -9 of a worker",
    strike: `${note(worker, "before")}; kill -9 ${pid(worker)}`,
    recovered: restarted(worker, "before"),
    failed: CLIENTS,
    within: 180,
  },
  {
    name: "SIGSTOP of a worker",
    strike: `${note(worker, "before")}; kill -STOP ${pid(worker)}`,
    recovered: restarted(worker, "before"),
    failed: CLIENTS,
    within: 180 + WATCHDOG_SECONDS,
  },
  {
    name: "systemctl restart of a worker",
    strike: `${note(worker, "before")}; systemctl restart --no-block ${worker}`,
    recovered: restarted(worker, "before"),
    failed: 0,
    within: 180,
  },
  {
    name: "kill -9 of the key agent",
    strike: `${note("qwen3-keys", "before")}; kill -9 ${pid("qwen3-keys")}`,
    recovered: restarted("qwen3-keys", "before"),
    failed: 0,
    within: 30,
  },
  {
    name: "systemctl reload of nginx",
    strike: "systemctl reload nginx",
    failed: 0,
    within: 5,
  },
  {
    name: "disk full, and a worker and the key agent restarted",
    // In memory, so that the host's disk is not affected.
    strike:
      "for folder in /var/log /var/cache/qwen3 /var/lib/nginx /var/tmp; do mount -t tmpfs -o size=64k tmpfs $folder; " +
      "head -c 100k /dev/zero > $folder/full 2>/dev/null; done; mkdir -p /var/cache/qwen3/worker-0; " +
      `${note(worker, "before")}; systemctl restart --no-block ${worker} qwen3-keys`,
    recovered: restarted(worker, "before"),
    repair: "for folder in /var/log /var/cache/qwen3 /var/lib/nginx /var/tmp; do umount --lazy $folder; done",
    failed: 0,
    within: 180,
  },
];

/** There is only one nginx, so clients notice these faults. */
const GATEWAY_FAULTS: Fault[] = [
  {
    name: "kill -9 of nginx",
    strike: `kill -9 ${pid("nginx")} $(pgrep --parent ${pid("nginx")})`,
    failed: Number.POSITIVE_INFINITY,
    within: 10,
  },
];

export function faults(machine: () => BootedMachine): void {
  it.each([...FAULTS, ...GATEWAY_FAULTS])(
    "$name: at most $failed failed requests, recovered within $within s",
    async (fault) => {
      const box = machine();
      const traffic = await Load.start(box, { clients: CLIENTS, pauseMs: 150 });
      await sleep(3000);
      const begin = Date.now();
      await box.run(fault.strike);
      try {
        await untilRecovered(box, traffic, fault, begin);
      } finally {
        if (fault.repair) {
          await box.run(fault.repair);
        }
      }
      const seconds = (Date.now() - begin) / 1000;
      await sleep(2000);
      await traffic.end();
      report(fault.name, {
        "recovered after, s": seconds.toFixed(1),
        requests: traffic.outcomes.length,
        failed: traffic.failed.length,
        "longest without a response, s": longestGap(traffic.outcomes).toFixed(1),
      });
      expect(traffic.failed.length, JSON.stringify(traffic.failed.slice(0, 5))).toBeLessThanOrEqual(
        fault.failed,
      );
      // In OpenAI's format, so that clients retry. An end of nginx itself is a closed connection.
      for (const { status, text } of traffic.failed.filter(({ status: answered }) => answered !== 0)) {
        expect([status, JSON.parse(text).error.code]).toEqual([503, "service_unavailable"]);
      }
    },
  );

  it("distributes the requests over both workers", async () => {
    const answered = await machine().run(
      `journalctl --namespace=${JOURNALS.requests.namespace} -t qwen3_gateway -o cat | grep '"path":"/v1/embeddings","status":200' | grep -o '"worker":"127.0.0.1:[0-9]*"' | sort | uniq -c`,
    );
    const [first, second] = [...answered.matchAll(/^ *(\d+) /gm)].map(([, count]) => Number(count));
    expect(answered).toContain(`:${FIRST_WORKER_PORT}"`);
    expect(answered).toContain(`:${FIRST_WORKER_PORT + 1}"`);
    expect(Math.min(first!, second!) / Math.max(first!, second!)).toBeGreaterThan(0.1);
  });

  it("refuses requests after a reboot without Secrets Manager, and recovers by itself with it", async () => {
    const box = machine();
    const key = await box.readKey();
    const traffic = await Load.start(box, { clients: CLIENTS, pauseMs: 100 });
    await sleep(2000);
    const { emulatorPid } = box.environment;
    const before = leaderPid(box.instanceId);
    let begin: number;
    process.kill(emulatorPid, "SIGSTOP");
    try {
      await rebootInstance(box.instanceId);
      expect(leaderPid(box.instanceId)).not.toBe(before);
      const end = Date.now() + 15_000;
      while (Date.now() < end) {
        // Not reachable, or not ready: no request is served.
        expect([0, 503]).toContain(await box.status(key));
        await sleep(500);
      }
    } finally {
      process.kill(emulatorPid, "SIGCONT");
      begin = Date.now();
    }
    await box.untilWell();
    const seconds = (Date.now() - begin) / 1000;
    await sleep(2000);
    const outcomes = await traffic.end();
    report("reboot", { "recovered after Secrets Manager is back, s": seconds.toFixed(1) });
    expect(outcomes.slice(-CLIENTS).map(({ status }) => status)).toEqual(Array(CLIENTS).fill(200));
    const { status, text } = await box.npm("run", "--silent", "verify", "--", "--stack", box.name);
    expect(status, text).toBe(0);
  });
}

async function untilRecovered(box: BootedMachine, traffic: Load, fault: Fault, begin: number): Promise<void> {
  const late = () => Date.now() - begin > fault.within * 1000;
  for (;;) {
    const recovered = fault.recovered
      ? await box.run(fault.recovered).then(
          () => true,
          () => false,
        )
      : traffic.outcomes.slice(-CLIENTS).every(({ at, status }) => at > begin && status === 200);
    if (recovered) {
      return;
    }
    if (late()) {
      throw new Error(`not recovered within ${fault.within} s`);
    }
    await sleep(200);
  }
}

/** The longest time in seconds without a response of 200. */
function longestGap(outcomes: Outcome[]): number {
  const ends = outcomes
    .filter(({ status }) => status === 200)
    .map(({ at, milliseconds }) => at + milliseconds)
    .sort((a, b) => a - b);
  return Math.max(0, ...ends.slice(1).map((end, index) => end - ends[index]!)) / 1000;
}
