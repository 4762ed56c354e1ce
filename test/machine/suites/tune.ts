import { expect, it } from "vitest";
import type { BootedMachine } from "../container";
import { LONG } from "../effort";
import { Load } from "../load";
import { report } from "../report";
import { exposure, properties } from "./hardening";

/** Properties of a unit that restrict its processes. */
const RESTRICTIONS = [
  ...["User", "UMask", "LimitNOFILE", "CapabilityBoundingSet", "AmbientCapabilities", "NoNewPrivileges"],
  ...["PrivateTmp", "PrivateDevices", "DevicePolicy", "DeviceAllow", "IPAddressDeny", "IPAddressAllow"],
  ...[
    "ProtectSystem",
    "ProtectHome",
    "ProtectHostname",
    "ProtectClock",
    "ProtectProc",
    "ProtectControlGroups",
  ],
  ...["ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "RestrictNamespaces"],
  ...["RestrictRealtime", "RestrictSUIDSGID", "RestrictAddressFamilies", "LockPersonality"],
  ...[
    "SystemCallArchitectures",
    "SystemCallFilter",
    "SystemCallErrorNumber",
    "CacheDirectory",
    "ReadWritePaths",
  ],
];

/** `npm run tune` on the instance: its command, the engines that it starts one after the other, and its output. */
export function tune(machine: () => BootedMachine): void {
  // Three engines, one after another, take minutes.
  it.runIf(LONG)(
    "measures arguments in place of worker 0 while the other worker serves, then restarts worker 0",
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
      const rows = [...stdout.matchAll(/^(current|chunk 2048) +((?:[\d,.]+ \(×[\d.]+\) *){4})$/gm)];
      expect(
        rows.map(([, name]) => name),
        stdout,
      ).toEqual(["current", "chunk 2048", "current"]);
      expect(stdout).toMatch(/^(Keep the current arguments|Faster for some traffic and slower for none)/m);
      report("tune", { requests: load.outcomes.length, failed: load.failed.length });
      expect(load.failed).toEqual([]);
    },
  );

  it("restarts worker 0 if its caller is killed, and ends its engines if it is stopped", async () => {
    const box = machine();
    await box.run(
      "setsid sh -c 'echo $$ > /tmp/tuning; exec qwen3-tune --seconds 30' > /dev/null 2>&1 < /dev/null & sleep 0",
    );
    await box.run("until pgrep -f '[q]wen3[.]tune --one' > /dev/null; do sleep 1; done", 180_000);
    expect(await properties(box, "qwen3-tune.service", RESTRICTIONS)).toEqual(
      await properties(box, "qwen3-embed@0.service", RESTRICTIONS),
    );
    expect(await exposure(box, "qwen3-tune.service")).toBeLessThanOrEqual(
      await exposure(box, "qwen3-embed@0.service"),
    );
    await box.run("kill -KILL $(cat /tmp/tuning); sleep 1; systemctl is-active qwen3-tune.service");
    await box.run("systemctl stop qwen3-tune.service");
    expect(await box.run("pgrep -f '[q]wen3[.]tune' || echo none")).toBe("none\n");
    await box.untilWell();
  });
}
