import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import {
  ACCOUNTS,
  type DigestFile,
  FIRST_WORKER_PORT,
  KEY_FILES,
  PATHS,
  TLS_FILES,
} from "../components/bundle/contract";
import { contractScript } from "../components/bundle/contractFiles";
import type { FleetMembership } from "../components/bundle/instanceConfig";
import { CONNECTION_ERROR_LOG, ERROR_LOG, nginxConf } from "../components/bundle/nginx";
import { REQUEST_LOGS } from "../components/bundle/nginx/http";
import { ROOT } from "../scripts/lib/paths";
import { buildImage } from "./image";

export interface GatewayOptions {
  /** Port on 127.0.0.1. */
  port: number;
  workerPorts: readonly number[];
  maxBodyBytes: number;
  fleet?: FleetMembership;
}

export interface Gateway {
  /** Runs the gateway in the foreground. With `-t` appended, checks its configuration. */
  command: string[];
  /** PEM of its certificate, for 127.0.0.1. */
  certificate: string;
}

/** Folder below a gateway's folder for the files that qwen3-keys writes on an instance. */
export function gatewayKeys(folder: string): string {
  return moveRuntime(PATHS.keys, folder);
}

/** The file that makes the gateway complete its requests, as qwen3-drain writes it. */
export function drainPath(folder: string): string {
  return moveRuntime(PATHS.drain, folder);
}

/** The file of a key's digest, as qwen3-keys writes it. */
export function digestPath(keys: string, key: string): string {
  return join(keys, KEY_FILES.digests, createHash("sha256").update(key).digest("hex"));
}

/** Writes digests as qwen3-keys does, without a gateway or an agent, and marks them as `loaded`. */
export function writeDigests(keys: string, files: Record<string, DigestFile>): void {
  mkdirSync(join(keys, KEY_FILES.digests), { recursive: true });
  for (const [key, file] of Object.entries(files)) {
    writeFileSync(digestPath(keys, key), JSON.stringify(file));
  }
  writeFileSync(join(keys, KEY_FILES.loaded), "");
}

/**
 * Prepares the nginx of an instance, without an instance, from the image of local instances. Its nginx.conf differs
 * from an instance's only in paths, ports, the user and the log.
 *
 * @param folder a folder of its own, empty except for the keys
 */
export async function prepareGateway(folder: string, options: GatewayOptions): Promise<Gateway> {
  const image = await buildImage(() => undefined);
  const keys = gatewayKeys(folder);
  const tls = moveRuntime(PATHS.tls, folder);
  const scripts = join(folder, "scripts");
  for (const path of [
    join(keys, KEY_FILES.digests),
    tls,
    moveRuntime(PATHS.gatewayRuntime, folder),
    scripts,
  ]) {
    mkdirSync(path, { recursive: true });
  }
  const certificate = makeCertificate(tls);
  copyFileSync(join(ROOT, "machine/gateway/auth.js"), join(scripts, "auth.js"));
  writeFileSync(join(scripts, "contract.js"), contractScript(keys));
  const { workerPorts, maxBodyBytes, fleet } = options;
  const rendered = nginxConf({ workers: workerPorts.length, maxBodyBytes, fleet });
  const config = join(folder, "nginx.conf");
  writeFileSync(config, moveConfig(rendered, { image, folder, scripts, options }));
  const libraries = `${image}/usr/lib/x86_64-linux-gnu:${image}/lib/x86_64-linux-gnu`;
  return {
    command: [
      // The host may not have nginx or its libraries.
      ...[`${image}/lib64/ld-linux-x86-64.so.2`, "--library-path", libraries, `${image}/usr/sbin/nginx`],
      ...["-c", config, "-g", "daemon off;"],
    ],
    certificate,
  };
}

/** Moves every path below /run in a text to the gateway's folder. */
function moveRuntime(text: string, folder: string): string {
  return text.replaceAll(PATHS.runtime, join(folder, basename(PATHS.runtime)));
}

function makeCertificate(folder: string): string {
  const file = join(folder, TLS_FILES.certificate);
  const args = [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
    ...["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
    ...["-keyout", join(folder, TLS_FILES.privateKey), "-out", file],
  ];
  execFileSync("openssl", args, { stdio: "ignore" });
  return readFileSync(file, "utf8");
}

interface Moved {
  image: string;
  folder: string;
  scripts: string;
  options: GatewayOptions;
}

function moveConfig(config: string, { image, folder, scripts, options }: Moved): string {
  const replacements: [string, string][] = [
    [
      "include /etc/nginx/modules-enabled/*.conf;",
      `load_module ${image}/usr/lib/nginx/modules/ngx_http_js_module.so;`,
    ],
    [`user ${ACCOUNTS.gatewayUser};`, "user root;"],
    ...[ERROR_LOG, CONNECTION_ERROR_LOG].map((line): [string, string] => [
      line,
      line.replace("stderr", `${folder}/error.log`),
    ]),
    ...Object.entries(REQUEST_LOGS).map(([name, server]): [string, string] => [
      `access_log ${server}`,
      `access_log ${folder}/${name}.log`,
    ]),
    [`js_path ${PATHS.gatewayScripts}/`, `js_path ${scripts}/`],
    ["listen 443", `listen 127.0.0.1:${options.port}`],
    ...options.workerPorts.map((worker, index): [string, string] => [
      `127.0.0.1:${FIRST_WORKER_PORT + index} `,
      `127.0.0.1:${worker} `,
    ]),
  ];
  const text = replacements.reduce((result, [from, to]) => {
    if (!result.includes(from)) {
      throw new Error(`nginx.conf does not contain ${JSON.stringify(from)}`);
    }
    return result.replace(from, to);
  }, config);
  return moveRuntime(text, folder);
}
