import { expect, it } from "vitest";
import { Load } from "../load";
import { report } from "../report";
import type { Sandbox } from "../sandbox";

/** `npm run tune` on the machine: its command, the engines that it starts one after the other, and what it prints. */
export function tune(sandbox: () => Sandbox): void {
  it("measures arguments on worker 0's share of the machine while the other worker serves, and gives it back", async () => {
    const box = sandbox();
    const load = await Load.start(box, { clients: 1, pauseMs: 500 });
    const { status, stdout, text } = await box.npm(
      ...["run", "--silent", "tune", "--", "--stack", box.name, "--yes"],
      ...["--seconds", "1", "--candidates", "chunk 2048"],
    );
    await load.end();
    expect(text).toContain("qwen3-tune --seconds 1");
    expect(status, text).toBe(0);
    const rows = [...stdout.matchAll(/^(present|chunk 2048) +((?:[\d,.]+ \(×[\d.]+\) *){4})$/gm)];
    expect(
      rows.map(([, name]) => name),
      stdout,
    ).toEqual(["present", "chunk 2048", "present"]);
    expect(stdout).toMatch(/^Noise, by the rounds of the present arguments: bulk ×\d/m);
    expect(stdout).toMatch(/^(Keep the present arguments|Faster by more than the noise)/m);
    expect(await box.run("pgrep -f qwen3.tune || echo none")).toBe("none\n");
    report("tune", { requests: load.outcomes.length, failed: load.failed.length });
    expect(load.failed).toEqual([]);
    await box.run("until systemctl is-active --quiet qwen3-embed@0; do sleep 1; done", 180_000);
  });
}
