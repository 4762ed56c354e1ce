import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { upgradeDropIn } from "../../components/bundle/systemd/nginxUnit";
import { ROOT } from "../../scripts/lib/paths";

/** Packages of AWS's image, by its release notes, and others. */
const KEPT = [
  ...[
    "linux-image-6.17.0-1020-aws",
    "linux-modules-extra-6.17.0-1020-aws",
    "linux-aws-6.17-headers-6.17.0-1020",
  ],
  ...["linux-image-aws", "nvidia-fabricmanager", "nvidia-dkms-open", "libnvidia-compute", "cuda-drivers"],
];
const UPGRADED = ["nginx", "openssl", "libssl3t64", "libc6", "python3.12", "amazon-ssm-agent", "util-linux"];

const machine = (path: string) => join(ROOT, "machine", path);

describe("the bootstrap's script for packages", () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "qwen3-packages-"));
    program("apt-mark", `[ -z "$LOCKED" ] || exit 100\nprintf '%s\\n' "$@" >"${folder}/marked"`);
    program("apt-get", "exit 0");
    program("systemctl", "exit 0");
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  function program(name: string, script: string): void {
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(folder, name), 0o755);
  }

  /** Runs it on an image with these packages: whatever else is asked for is installed. */
  function run(packages: string[], env: Record<string, string> = {}) {
    program(
      "dpkg-query",
      `case "$2" in *Package*) ;; *) echo installed; exit ;; esac
shift 2
for pattern; do
  for name in ${packages.join(" ")}; do
    case $name in $pattern) echo "installed $name" ;; esac
  done
done
echo "config-files linux-image-gone"
exit 1 # as for a pattern that matches nothing`,
    );
    return spawnSync("/bin/sh", [machine("bootstrap/packages.sh")], {
      env: { PATH: `${folder}:/usr/bin:/bin`, QWEN3_ACCELERATOR: "cuda", ...env },
      encoding: "utf8",
    });
  }

  it("holds the kernel's and the driver's packages, and no other", () => {
    expect(run([...KEPT, ...UPGRADED])).toMatchObject({ status: 0, stderr: "" });
    const [command, ...held] = readFileSync(join(folder, "marked"), "utf8").trim().split("\n");
    expect(command).toBe("hold");
    expect([...new Set(held)].sort()).toEqual([...KEPT].sort());
  });

  it("holds nothing where there is nothing to hold, as in a container", () => {
    expect(run(UPGRADED)).toMatchObject({ status: 0, stderr: "" });
    expect(existsSync(join(folder, "marked"))).toBe(false);
  });

  it("fails while another program has the lock, so that the unit tries again", () => {
    expect(run(KEPT, { LOCKED: "1" }).status).toBe(100);
  });
});

describe("upgrades without an operator", () => {
  const apt = readFileSync(machine("apt.conf"), "utf8");

  it("are on, never reboot, and keep this stack's nginx.conf", () => {
    expect(apt).toContain('APT::Periodic::Unattended-Upgrade "1";');
    expect(apt).toContain('Unattended-Upgrade::Automatic-Reboot "false";');
    expect(apt).toMatch(/Dpkg::Options \{[^}]*"--force-confold";/);
  });

  it("do not include the kernel and the driver", () => {
    const [, list] = /Package-Blacklist \{([^}]*)\}/.exec(apt)!;
    const patterns = [...list!.matchAll(/"(.*)";/g)].map(([, pattern]) => pattern);
    // As unattended-upgrades does, with Python's re.match, which begins at the start.
    const isKept = (name: string) => patterns.some((pattern) => new RegExp(`^(?:${pattern})`).test(name));
    expect(KEPT.map(isKept)).toEqual(KEPT.map(() => true));
    expect(UPGRADED.map(isKept)).toEqual(UPGRADED.map(() => false));
  });

  it.each([
    ["nginx.service restart", 101],
    ["nginx (restart)", 101],
    ["nginx upgrade", 104],
    ["nginx reload", 104],
    ["ssh.service restart", 104],
  ])("let dpkg do what does not interrupt the gateway: %s", (asked, status) => {
    expect(spawnSync(machine("policy-rc.d"), asked.split(" ")).status).toBe(status);
  });

  it("have nginx replace itself once a library that it uses is upgraded", () => {
    const [, command] = /^ExecStartPost=-\/bin\/sh -c '(.*)'$/m.exec(upgradeDropIn())!;
    const folder = mkdtempSync(join(tmpdir(), "qwen3-upgrade-"));
    const run = (maps: string) => {
      writeFileSync(join(folder, "maps"), maps);
      const script = command!
        // systemd's escape of a dollar sign.
        .replaceAll("$$", "$")
        .replace("/proc/$(cat /run/qwen3-nginx/nginx.pid)", folder)
        .replace("/etc/init.d/nginx", "echo");
      return spawnSync("/bin/sh", ["-c", script], { encoding: "utf8" }).stdout;
    };
    expect(run("7f0 r-xp 0 08:01 1 /usr/lib/libssl.so.3\n7f1 rw-s 0 00:01 2 /dev/zero (deleted)\n")).toBe("");
    expect(run("7f0 r-xp 0 08:01 1 /usr/lib/libssl.so.3 (deleted)\n")).toBe("upgrade\n");
    rmSync(folder, { recursive: true });
  });
});
