import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { KEY_FILES, KEYS, PATHS } from "../../../components/bundle/contract";
import { digestPath } from "../../../local/gateway";
import type { BootedMachine } from "../container";
import { LONG } from "../effort";
import { Load } from "../load";
import { range, report } from "../report";

/** The service's guarantee: a new key within 15 seconds, an old one at most one poll longer than its grace period. */
const ACCEPTED_WITHIN_SECONDS = 15;
/** Between two requests of a test, and for the round trip to the endpoint. */
const REQUEST_SECONDS = 1;

/** Path on the instance. */
const STALE = `${PATHS.keys}/${KEY_FILES.stale}`;

/** In a row, under load. */
const ROTATIONS = LONG ? 10 : 3;

const GRACE = "qwen3-embedding-stack:keyGraceSeconds";

/** The life of a key on an instance: what rotates, how fast, and that no client is affected. */
export function rotation(machine: () => BootedMachine): void {
  it("rotates with one command: the old key still valid, nothing restarted, no request failed, no key printed", async () => {
    const box = machine();
    const before = { key: await box.readKey(), pids: await box.servingPids() };
    const traffic = await Load.start(box);
    const printed = await rotate(box, "--yes");
    const rotated = await box.readKey();
    traffic.tell(rotated);
    await sleep(2000);
    await traffic.end();
    expect(printed.text).toMatch(/The new key is accepted\.\nThe old key works until 20/);
    expect(printed.status).toBe(0);
    expect(printed.text).not.toContain(rotated);
    expect(printed.text).not.toContain(before.key);
    expect(rotated).not.toBe(before.key);
    expect((await box.embed(rotated)).status).toBe(200);
    expect((await box.embed(before.key)).status).toBe(200);
    expect(await box.servingPids()).toBe(before.pids);
    expect(traffic.failed).toEqual([]);
    expect(traffic.outcomes.length).toBeGreaterThan(50);
  });

  it(`rotates ${ROTATIONS} times under load: no request fails, each key works within 15 s, the third-last is refused`, async () => {
    const box = machine();
    const pids = await box.servingPids();
    const traffic = await Load.start(box);
    const accepted: number[] = [];
    const thirdRefused: number[] = [];
    let older = await box.readKey("AWSPREVIOUS");
    for (let round = 0; round < ROTATIONS; round += 1) {
      const old = await box.readKey();
      const update = box.up(box.output("apiKeyUrn"));
      const { key, created } = await newVersion(box, (await box.version())!.id);
      const refusal = box.untilStatus(older, 401, { from: created });
      accepted.push(await box.untilStatus(key, 200, { from: created }));
      thirdRefused.push(await refusal);
      await update;
      expect(await box.status(old)).toBe(200);
      traffic.tell(key);
      older = old;
    }
    await traffic.end();
    report(`${ROTATIONS} rotations`, {
      requests: traffic.outcomes.length,
      failed: traffic.failed.length,
      "accepted after, s": range(accepted),
      "third-last key refused after, s": range(thirdRefused),
    });
    expect(traffic.failed).toEqual([]);
    expect(traffic.outcomes.length).toBeGreaterThan(25 * ROTATIONS);
    expect(Math.max(...accepted)).toBeLessThan(ACCEPTED_WITHIN_SECONDS);
    expect(Math.max(...thirdRefused)).toBeLessThan(ACCEPTED_WITHIN_SECONDS);
    expect(await box.servingPids()).toBe(pids);
  });

  it("refuses the old key when its grace period ends, to the second, and immediately without one", async () => {
    const box = machine();
    const refused: Record<string, number> = {};
    try {
      for (const grace of [20, 0]) {
        await (await box.stack()).setConfig(GRACE, { value: String(grace) });
        await box.up();
        const old = await box.readKey();
        const { id } = (await box.version())!;
        const update = box.up(box.output("apiKeyUrn"));
        const { created } = await newVersion(box, id);
        refused[`grace ${grace} s`] = await box.untilStatus(old, 401, { from: created });
        await update;
      }
    } finally {
      await (await box.stack()).removeConfig(GRACE);
      await box.up();
    }
    report("the old key refused after, s", refused);
    expect(refused["grace 20 s"]).toBeGreaterThanOrEqual(19.5);
    expect(refused["grace 20 s"]).toBeLessThan(20 + KEYS.pollSeconds + REQUEST_SECONDS);
    expect(refused["grace 0 s"]).toBeLessThan(ACCEPTED_WITHIN_SECONDS);
  });

  it("revokes, with a new key and only the previous key", async () => {
    const box = machine();
    const leaked = await box.readKey();
    const now = await rotate(box, "--yes", "--revoke-now");
    expect(now.text).toMatch(
      /The new key is accepted\.\nThe old key is refused, \d+ s after it was revoked\./,
    );
    expect(now.status).toBe(0);
    expect(await box.status(leaked)).toBe(401);

    const old = await box.readKey();
    await box.up(box.output("apiKeyUrn"));
    expect(await box.status(old)).toBe(200);
    const previous = await rotate(box, "--yes", "--revoke-previous");
    expect(previous.text).toMatch(/The previous key is refused, \d+ s after it was revoked\./);
    expect(await box.status(old)).toBe(401);
    expect(await box.status(await box.readKey())).toBe(200);
    const again = await rotate(box, "--yes", "--revoke-previous");
    expect(again.text).toMatch(/There is no earlier key of default that still works\. Nothing was changed\./);
    for (const { text } of [now, previous, again]) {
      expect(text).not.toMatch(/qwen3_[0-9A-Za-z]{16}/);
    }
  });

  it("does not rotate while other changes are pending, and shows them", async () => {
    const box = machine();
    const before = await box.readKey();
    await (await box.stack()).setConfig(GRACE, { value: "60" });
    const printed = await rotate(box, "--yes");
    await (await box.stack()).removeConfig(GRACE);
    expect(printed.status).toBe(1);
    expect(printed.text).toMatch(
      /has pending changes other than the key; [\s\S]*update +aws:s3\/bucketObjectv2/,
    );
    expect(await box.readKey()).toBe(before);
  });

  it("lists the clients if the named one does not exist", async () => {
    const box = machine();
    const printed = await rotate(box, "--client", "nobody");
    expect(printed.status).toBe(1);
    expect(printed.text).toMatch(/--client is "nobody": stack machine-test has default, search/);
  });

  it("accepts a key stored by hand, and restores the declared one without a failed request", async () => {
    const box = machine();
    const declared = await box.readKey();
    const traffic = await Load.start(box);
    const byHand = `byhand${"x".repeat(48)}`;
    const begin = Date.now();
    await box.putKey(byHand);
    const followed = await box.untilStatus(byHand, 200, { from: begin });
    traffic.tell(byHand);
    await sleep(1000);
    await box.up();
    const back = await box.untilStatus(declared, 200);
    await sleep(1000);
    traffic.tell(declared);
    await sleep(1000);
    await traffic.end();
    report("a key stored by hand", {
      "accepted after, s": followed.toFixed(1),
      "declared key back after the update, s": back.toFixed(1),
      requests: traffic.outcomes.length,
      failed: traffic.failed.length,
    });
    expect(traffic.failed).toEqual([]);
    expect(followed).toBeLessThan(ACCEPTED_WITHIN_SECONDS);
    expect(await box.readKey()).toBe(declared);
    expect(await box.readKey("AWSPREVIOUS")).toBe(byHand);
  });

  it("keeps the last keys while Secrets Manager and the metadata service are down, and recovers", async () => {
    const box = machine();
    const key = await box.readKey();
    const { metadataPid } = box.instance();
    const down = [box.environment.emulatorPid, metadataPid];
    const unit = "qwen3-embed@1";
    let next: string;
    const stopped = down.map((pid) => process.kill(pid, "SIGSTOP"));
    try {
      expect(stopped).toEqual([true, true]);
      await box.run(`for i in $(seq 60); do [ -e ${STALE} ] && exit; sleep 1; done; exit 1`, 70_000);
      expect((await box.embed(key)).status).toBe(200);
      await box.run("systemctl restart nginx qwen3-keys");
      await box.run(`pid=$(systemctl show -P MainPID ${unit}); [ "$pid" -gt 1 ] && kill -9 "$pid"`);
      expect((await box.embed(key)).status).toBe(200);
      expect(await box.status(`${key}x`)).toBe(401);
      await box.run(
        "for i in $(seq 60); do systemctl show -P StatusText qwen3-keys | grep -q 'not everything can be read' && exit; sleep 1; done; exit 1",
        70_000,
      );
      expect(
        await box.run("journalctl --namespace=qwen3 -u qwen3-keys --priority warning --since -2min -o cat"),
      ).toMatch(/the last (one|keys) stays? in use/);
    } finally {
      for (const pid of down) {
        process.kill(pid, "SIGCONT");
      }
      next = `afteroutage${"y".repeat(48)}`;
    }
    const back = Date.now();
    await box.putKey(next);
    const recovered = await box.untilStatus(next, 200, { from: back, timeoutMs: 120_000 });
    await box.run(`for i in $(seq 60); do [ -e ${STALE} ] || exit 0; sleep 1; done; exit 1`, 70_000);
    report("Secrets Manager back", { "a new key accepted after, s": recovered.toFixed(1) });
    await box.untilWell();
  });

  it("loses no request to a killed key agent, incomplete digest files or a full tmpfs", async () => {
    const box = machine();
    const traffic = await Load.start(box);
    const key = await box.readKey();
    // Killed while it reads one change after another.
    for (let round = 0; round < 6; round += 1) {
      const next = `killed${round}${"z".repeat(48)}`;
      await box.putKey(next);
      // At some point in the pass that reads it.
      await box.run(
        'until pid=$(systemctl show -P MainPID qwen3-keys) && [ "$pid" -gt 1 ]; do sleep 0.1; done; ' +
          `systemctl reload qwen3-keys; sleep ${(Math.random() * 0.3).toFixed(2)}; kill -9 "$pid"`,
      );
      await box.untilStatus(next, 200);
      traffic.tell(next);
    }
    // An incomplete file without an agent to write it again: its key is neither accepted nor refused.
    const other = await box.readKey("AWSCURRENT", "search");
    await box.run(`systemctl stop qwen3-keys; echo '{"client":' > ${digestPath(PATHS.keys, other)}`);
    expect(await box.status(other)).toBe(503);
    await box.run("systemctl start qwen3-keys");
    await box.untilStatus(other, 200, { timeoutMs: 15_000 });
    // No space for a new digest: the existing ones remain valid.
    const late = `late${"w".repeat(48)}`;
    await box.run(
      "mount -o remount,size=$(($(df --output=used /run | tail -1) + 8))k /run; touch /tmp/filling; " +
        // Fills the space that an old digest releases when it is removed.
        "(while [ -e /tmp/filling ]; do cat /dev/zero >> /run/full; sleep 0.01; done) > /dev/null 2>&1 &",
    );
    try {
      await box.putKey(late);
      await sleep(8000);
      expect(await box.status(late)).toBe(401);
      expect(
        await box.run("journalctl --namespace=qwen3 -u qwen3-keys --priority warning --since -30s -o cat"),
      ).toMatch(/digests: .*No space left on device.*; what could not be written stays as it was/);
    } finally {
      await box.run("rm /tmp/filling; sleep 0.5; rm /run/full; mount -o remount,size=20% /run");
    }
    await box.untilStatus(late, 200);
    traffic.tell(late);
    await sleep(1000);
    await traffic.end();
    report("incomplete files, a killed agent, a full tmpfs", {
      requests: traffic.outcomes.length,
      failed: traffic.failed.length,
    });
    expect(traffic.failed).toEqual([]);
    expect(key).not.toBe(late);
  });

  it("restores the declared key at the end", async () => {
    const box = machine();
    await box.up();
    await box.untilWell();
    expect(await box.readKey()).toMatch(/^qwen3_/);
  });
}

function rotate(box: BootedMachine, ...args: string[]) {
  return box.npm("run", "--silent", "rotate", "--", "--stack", box.name, ...args);
}

/** The version after the one with this ID, and its key. Instances may not have it yet. */
async function newVersion(box: BootedMachine, before: string): Promise<{ key: string; created: number }> {
  for (;;) {
    const current = await box.version();
    if (current && current.id !== before) {
      return { key: await box.readKey(), created: current.created };
    }
    await sleep(100);
  }
}
