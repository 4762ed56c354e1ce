import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { runWithProgress } from "./process";

/** Programs that local machines need, and the Debian package of each. */
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

/** Why local machines cannot run here, or undefined where they can. */
export function unsupported(): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64") {
    return `local machines need Linux on x86-64, and this is ${process.platform} on ${process.arch}`;
  }
  if (process.getuid?.() !== 0) {
    return "local machines need root, for namespaces and mounts: run it with sudo";
  }
  const missing = missingPackages();
  if (missing.length > 0 && !onPath("apt-get")) {
    return `local machines need ${missing.join(", ")}, and there is no apt-get to install them with`;
  }
  return undefined;
}

/** Installs what is missing from the distribution's own archives. Answers what it did. */
export async function installPrograms(onProgress: (line: string) => void): Promise<string> {
  const missing = missingPackages();
  if (missing.length === 0) {
    return "all there";
  }
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  await runWithProgress("apt-get", ["update"], onProgress, { env });
  await runWithProgress("apt-get", ["install", "--yes", "--no-install-recommends", ...missing], onProgress, {
    env,
  });
  return `installed ${missing.join(", ")}`;
}

/** Debian packages of the programs that local instances need and this machine lacks. */
export function missingPackages(): string[] {
  const packages = Object.entries(PROGRAMS).filter(([program]) => !onPath(program));
  // Debian's python3 comes without the module that makes virtual environments.
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
