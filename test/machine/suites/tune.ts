import { expect, it } from "vitest";
import type { BootedMachine } from "../container";
import { LONG } from "../effort";
import { Load } from "../load";
import { report } from "../report";

/** `npm run tune` on the machine: its command, the engines that it starts one after the other, and what it prints. */
export function tune(machine: () => BootedMachine): void {
  // Three engines, one after another: minutes.
  it.runIf(LONG)(
    "measures arguments on worker 0's share of the machine while the other worker serves, and gives it back",
    async () => {
      const box = machine();
      const load = await Load.start(box, { clients: 1, pauseMs: 500 });
      const { status, stdout, text } = await box.npm(
        ...["run", "--silent", "tune", "--", "--stack", box.name, "--yes"],
        ...["--seconds", "1", "--candidates", "chunk 2048"],
      );
      await load.end();
      await box.untilWell();
      expect(text).toContain("qwen3-tune --seconds 1");
      expect(status, text).toBe(0);
      const rows = [...stdout.matchAll(/^(present|chunk 2048) +((?:[\d,.]+ \(×[\d.]+\) *){4})$/gm)];
      expect(
        rows.map(([, name]) => name),
        stdout,
      ).toEqual(["present", "chunk 2048", "present"]);
      expect(stdout).toMatch(/^(Keep the present arguments|Faster, and slower nowhere)/m);
      report("tune", { requests: load.outcomes.length, failed: load.failed.length });
      expect(load.failed).toEqual([]);
    },
  );

  it("gives worker 0 back when what started it is killed, and ends its engines when it is stopped", async () => {
    const box = machine();
    await box.run(
      "setsid sh -c 'echo $$ > /tmp/tuning; exec qwen3-tune --seconds 30' > /dev/null 2>&1 < /dev/null & sleep 0",
    );
    await box.run("until pgrep -f '[q]wen3[.]tune --one' > /dev/null; do sleep 1; done", 180_000);
    await box.run("kill -KILL $(cat /tmp/tuning); sleep 1; systemctl is-active qwen3-tune.service");
    await box.run("systemctl stop qwen3-tune.service");
    expect(await box.run("pgrep -f '[q]wen3[.]tune' || echo none")).toBe("none\n");
    await box.untilWell();
  });
}
