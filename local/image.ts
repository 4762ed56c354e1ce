import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CACHE } from "../scripts/lib/paths";
import { run, runWithProgress } from "./process";

/** The packages that a root file system needs to boot, run user data, and install nothing from an archive. */
const PACKAGES = [
  "ca-certificates",
  "cloud-init",
  "curl",
  "dbus",
  "iproute2",
  "libnginx-mod-http-js",
  "libnuma1",
  "nftables",
  "nginx",
  "openssh-client",
  "procps",
  "python3",
  "python3-boto3",
  "python3-venv",
  "systemd",
  "systemd-sysv",
];
// biome-ignore format: a list of names

/** What an Amazon image has and a plain root file system lacks: the data source, and no automatic start of nginx. */
const CLOUD_CONFIG = `datasource_list: [NoCloud]
network: {config: disabled}
locale: false
`;

/**
 * Builds the image of local instances: the host's distribution, from the archives that the host uses. It is built
 * once for each list of packages, configuration and release. Returns its folder.
 */
export async function buildImage(onProgress: (line: string) => void): Promise<string> {
  const release = codename();
  const image = imageFolder();
  if (existsSync(image)) {
    return image;
  }
  mkdirSync(join(CACHE, "images"), { recursive: true });
  const partial = `${image}.partial-${process.pid}`;
  const configuration = `${partial}.cfg`;
  writeFileSync(configuration, CLOUD_CONFIG);
  try {
    await runWithProgress(
      "mmdebstrap",
      [
        "--variant=apt",
        "--format=directory",
        `--include=${PACKAGES.join(",")}`,
        `--customize-hook=upload ${configuration} /etc/cloud/cloud.cfg.d/90_qwen3.cfg`,
        // An instance trusts the certificate authorities that its host trusts.
        "--customize-hook=upload /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt",
        '--customize-hook=chroot "$1" systemctl disable nginx.service',
        release,
        partial,
        ...(await archives(release)),
      ],
      onProgress,
    );
    renameSync(partial, image);
  } finally {
    rmSync(configuration, { force: true });
    rmSync(partial, { recursive: true, force: true });
  }
  return image;
}

/** The image's folder, whether or not the image exists. */
export function imageFolder(): string {
  const recipe = JSON.stringify({ PACKAGES, CLOUD_CONFIG, release: codename(), version: 1 });
  return join(CACHE, "images", createHash("sha256").update(recipe).digest("hex").slice(0, 16));
}

function codename(): string {
  const match = /^VERSION_CODENAME=(.+)$/m.exec(readFileSync("/etc/os-release", "utf8"));
  if (!match) {
    throw new Error(
      "/etc/os-release has no VERSION_CODENAME: the local environment requires Debian or Ubuntu",
    );
  }
  return match[1]!;
}

/** The host's package archives for its release, one source line each. */
async function archives(release: string): Promise<string[]> {
  const format = "deb $(REPO_URI) $(RELEASE) $(COMPONENT)";
  const targets = await run("apt-get", ["indextargets", "--format", format, "Identifier: Packages"]);
  const lines = [...new Set(targets.split("\n"))].filter((line) => {
    const suite = line.split(" ")[2] ?? "";
    return suite === release || suite.startsWith(`${release}-`);
  });
  if (lines.length === 0) {
    throw new Error(`apt has no archive of ${release}: run \`apt-get update\` and try again`);
  }
  return lines;
}
