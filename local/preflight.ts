import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { runWithProgress } from "./process";

/** Programs that local instances need, and the Debian package of each. */
const PROGRAMS: Record<string, string> = {
  curl: "curl",
  ip: "iproute2",
  mmdebstrap: "mmdebstrap",
  nsenter: "util-linux",
  openssl: "openssl",
  python3: "python3",
  "systemd-nspawn": "systemd-container",
  unshare: "util-linux",
};

/** Why local instances cannot run here. Undefined if they can. */
export function unsupported(): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64") {
    return `local instances require Linux on x86-64; this is ${process.platform} on ${process.arch}`;
  }
  if (process.getuid?.() !== 0) {
    return "local instances require root, for namespaces and mounts: run the command with sudo";
  }
  const missing = missingPackages();
  if (missing.length > 0 && !onPath("apt-get")) {
    return `local instances require ${missing.join(", ")}, and apt-get is not available to install them`;
  }
  return undefined;
}

/** Installs missing programs from the distribution's archives. Returns a summary. */
export async function installPrograms(onProgress: (line: string) => void): Promise<string> {
  const missing = missingPackages();
  if (missing.length === 0) {
    return "all installed";
  }
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  await runWithProgress("apt-get", ["update"], onProgress, { env });
  await runWithProgress("apt-get", ["install", "--yes", "--no-install-recommends", ...missing], onProgress, {
    env,
  });
  return `installed ${missing.join(", ")}`;
}

/** Debian packages of the programs that local instances need and that are not installed. */
export function missingPackages(): string[] {
  const packages = Object.entries(PROGRAMS).filter(([program]) => !onPath(program));
  // Debian's python3 does not include the modules that create virtual environments.
  const venv = existsSync("/usr/lib/python3") && !hasVenv() ? ["python3-venv"] : [];
  return [...new Set([...packages.map(([, name]) => name), ...venv])];
}

function hasVenv(): boolean {
  return existsSync("/usr/share/python-wheels") || existsSync("/usr/share/doc/python3-venv");
}

function onPath(program: string): boolean {
  return [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"].some((folder) =>
    existsSync(join(folder, program)),
  );
}
