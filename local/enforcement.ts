import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../scripts/lib/paths";
import { run } from "./process";

/** Runs a container of systemd-nspawn in a mount namespace; see container.sh for the arguments that follow. */
export const CONTAINER_COMMAND = [
  "unshare",
  "--mount",
  "--propagation",
  "private",
  "sh",
  join(ROOT, "local", "container.sh"),
] as const;

/** systemd in a container enforces IPAddressDeny= and DevicePolicy= with these; otherwise it ignores both silently. */
export const ENFORCING = {
  env: { SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: "1" },
  args: ["--system-call-filter=bpf", "--capability=all"],
} as const;

/**
 * Why the units' IPAddressDeny= and DevicePolicy= would have no effect in a container on this host. Undefined if they
 * are enforced.
 *
 * @param image root file system of instances
 */
export async function notEnforced(image: string): Promise<string | undefined> {
  const [file, ...args] = CONTAINER_COMMAND;
  const probe = readFileSync(join(ROOT, "local", "enforcement.py"), "utf8");
  const name = `probe-${process.pid}`;
  const container = [name, image, "", ...ENFORCING.args, "--read-only", "--private-network"];
  try {
    await run(file, [...args, ...container, "/usr/bin/python3", "-c", probe], {
      env: { ...process.env, ...ENFORCING.env },
      timeoutMs: 30_000,
    });
    return undefined;
  } catch (error) {
    return (error as Error).message.trim().split("\n").at(-1);
  }
}
