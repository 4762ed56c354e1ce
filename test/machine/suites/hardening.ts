import { expect, it, type TestContext } from "vitest";
import { ACCOUNTS } from "../../../components/bundle/contract";
import type { BootedMachine } from "../container";
import { report } from "../report";

const METADATA = "169.254.169.254";
/** A device that no unit needs: TUN. */
const DEVICE = "/dev/qwen3-test-device";
const WORKER = "qwen3-embed@0.service";

/** Maximum exposure of each unit by `systemd-analyze security`, from 0 to 10. docs/reference/machine.md lists them. */
const EXPOSURE: Record<string, number> = {
  "nginx.service": 2.5,
  "qwen3-embed@0.service": 1.7,
  "qwen3-keys.service": 2.5,
  "qwen3-model.service": 2.5,
};

/** What each unit may not do, enforced by the kernel, and that it can still do what it must. */
export function hardening(machine: () => BootedMachine): void {
  it("runs SGLang's processes and nginx's in the control groups of their units", async () => {
    const box = machine();
    const processes = async (unit: string) =>
      (await box.run(`ps -o args= -p "$(${groupOf(unit)}; paste -sd, "$group/cgroup.procs")"`)).trim();
    expect(await processes(WORKER)).toMatch(/qwen3\.worker 0/);
    expect(await processes(WORKER)).toMatch(/sglang::scheduler/);
    expect((await processes("nginx.service")).split("\n").length).toBeGreaterThan(1);
    expect(await processes("nginx.service")).toMatch(/nginx: worker process/);
  });

  it("keeps the metadata service out of reach of the workers and nginx, but not of the key agent", async (context) => {
    const box = machine();
    requireEnforcement(box, context);
    expect(await sendTo(box, WORKER, METADATA, ACCOUNTS.workerUser)).toBe("EPERM");
    expect(await sendTo(box, WORKER, METADATA)).toBe("EPERM");
    expect(await sendTo(box, WORKER, `${box.environment.env.QWEN3_LOCAL_SUBNET}.1`)).toBe("EPERM");
    expect(await sendTo(box, WORKER, "127.0.0.1", ACCOUNTS.workerUser)).toBe("sent");
    expect(await sendTo(box, "nginx.service", METADATA, ACCOUNTS.gatewayUser)).toBe("EPERM");
    expect(await sendTo(box, "nginx.service", METADATA)).toBe("EPERM");
    expect(await sendTo(box, "nginx.service", "127.0.0.1")).toBe("sent");
    expect(await sendTo(box, "qwen3-keys.service", METADATA)).toBe("sent");
    expect(await box.run("systemctl show -P StatusText qwen3-keys")).toBe("up to date\n");
  });

  it("keeps other devices out of reach of a worker, until the documented drop-in allows one", async (context) => {
    const box = machine();
    requireEnforcement(box, context);
    const folder = "/etc/systemd/system/qwen3-embed@.service.d";
    await box.run(`rm -f ${DEVICE}; mknod ${DEVICE} c 10 200`);
    try {
      expect(await openDevice(box, "qwen3-keys.service", "/dev/null")).toBe("opened");
      for (const unit of [WORKER, "nginx.service", "qwen3-keys.service"]) {
        expect(await openDevice(box, unit, DEVICE), unit).toBe("EPERM");
      }
      await box.run(
        `mkdir -p ${folder} && printf '[Service]\\nDeviceAllow=char-misc rw\\n' > ${folder}/devices.conf &&
          systemctl daemon-reload && systemctl restart ${WORKER}`,
        180_000,
      );
      // ENODEV: the kernel has no such device, but systemd does not keep it from the worker.
      expect(["opened", "ENODEV"]).toContain(await openDevice(box, WORKER, DEVICE));
      await box.run(`rm -r ${folder} && systemctl daemon-reload`);
      expect(await openDevice(box, WORKER, DEVICE)).toBe("EPERM");
    } finally {
      await box.run(`rm -rf ${DEVICE} ${folder}; systemctl daemon-reload`);
    }
  });

  it("listens only on port 443, apart from loopback", async () => {
    const listening = await machine().run("ss --no-header --listening --tcp --udp --numeric --processes");
    const sockets = listening
      .trim()
      .split("\n")
      .map((line) => line.split(/\s+/))
      // The fake of the metadata service is a process of the host.
      .filter(([, , , , local]) => !/^(127\.|\[::1\])/.test(local!) && local !== `${METADATA}:80`);
    expect(sockets.map(([protocol, , , , local]) => `${protocol} ${local}`)).toEqual(["tcp 0.0.0.0:443"]);
    expect(sockets[0]!.join(" ")).toContain('"nginx"');
  });

  it.each(Object.entries(EXPOSURE))("%s has an exposure of at most %d", async (unit, most) => {
    const found = await exposure(machine(), unit);
    report("exposure", { unit, found });
    expect(found).toBeLessThanOrEqual(most);
  });
}

/** The figure of `systemd-analyze security` for a loaded unit. */
export async function exposure(box: BootedMachine, unit: string): Promise<number> {
  const table = await box.run(`systemd-analyze security --no-pager ${unit}`);
  return Number(/Overall exposure level for .*: ([\d.]+)/.exec(table)?.[1]);
}

function requireEnforcement(box: BootedMachine, { skip }: TestContext): void {
  skip(
    box.environment.env.QWEN3_LOCAL_ENFORCING !== "yes",
    "this host does not enforce IPAddressDeny and DevicePolicy in containers; npm start says why",
  );
}

/** Shell code that sets `group` to the folder of a unit's control group. */
function groupOf(unit: string): string {
  return `group=/sys/fs/cgroup$(systemctl show -P ControlGroup ${unit})`;
}

/** Sends a datagram from a process in the control group of a unit. */
function sendTo(box: BootedMachine, unit: string, address: string, user = "root"): Promise<string> {
  const code = `import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("${address}", 80)); print("sent")`;
  return inGroupOf(box, unit, code, user);
}

function openDevice(box: BootedMachine, unit: string, device: string): Promise<string> {
  return inGroupOf(box, unit, `import os; os.open("${device}", os.O_RDWR); print("opened")`);
}

/** What Python code prints in the control group of a unit, or the name of its error. */
async function inGroupOf(box: BootedMachine, unit: string, code: string, user = "root"): Promise<string> {
  const python = `import errno
try:
    ${code}
except OSError as error:
    print(errno.errorcode[error.errno])
`;
  // In a unit of its own, because a process from outside the container may not enter one of its groups; on its standard
  // input, because systemd expands variables and backslashes in arguments.
  const enter = `set -e
${groupOf(unit)}
echo $$ > "$group/cgroup.procs"
exec setpriv --reuid=${user} --regid=${user} --clear-groups /usr/bin/python3 -c '${python}'
`;
  const encoded = Buffer.from(enter).toString("base64");
  const printed = await box.run(
    `echo ${encoded} | base64 -d | systemd-run --quiet --wait --pipe --collect sh`,
  );
  return printed.trim();
}

/** Properties of a unit by name, as systemd has loaded them. */
export async function properties(
  box: BootedMachine,
  unit: string,
  names: readonly string[],
): Promise<Record<string, string>> {
  const shown = await box.run(`systemctl show --all --property=${names.join(",")} ${unit}`);
  return Object.fromEntries(
    shown
      .trim()
      .split("\n")
      .map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string])
      .sort(),
  );
}
