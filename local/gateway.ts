import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FIRST_WORKER_PORT, type FleetMembership } from "../components/bundle/instanceConfig";
import { nginxConf } from "../components/bundle/nginx";
import { ROOT } from "../scripts/lib/paths";
import { buildImage } from "./image";

export interface GatewayOptions {
  /** On 127.0.0.1. */
  port: number;
  workerPorts: readonly number[];
  maxBodyBytes: number;
  fleet?: FleetMembership;
}

export interface Gateway {
  /** Runs it in the foreground; with `-t` after it, checks its configuration. */
  command: string[];
  /** PEM of its certificate, for 127.0.0.1. */
  certificate: string;
}

/** In a gateway's folder: what qwen3-keys writes on an instance. */
export function gatewayKeys(folder: string): string {
  return join(folder, "qwen3/keys");
}

/**
 * An instance's own nginx, from the image that local instances boot from, without an instance: its rendered nginx.conf is
 * unchanged but for paths, ports, the user and where it logs.
 *
 * @param folder its own, empty but for the keys
 */
export async function prepareGateway(folder: string, options: GatewayOptions): Promise<Gateway> {
  const image = await buildImage(() => undefined);
  for (const name of ["qwen3/keys/edge", "qwen3/keys/door", "qwen3/tls", "qwen3-nginx", "js"]) {
    mkdirSync(join(folder, name), { recursive: true });
  }
  const certificate = makeCertificate(join(folder, "qwen3/tls"));
  const script = readFileSync(join(ROOT, "machine/gateway/auth.js"), "utf8");
  writeFileSync(join(folder, "js/auth.js"), script.replace("/run/qwen3/keys", gatewayKeys(folder)));
  const { workerPorts, maxBodyBytes, fleet } = options;
  const rendered = nginxConf({ workers: workerPorts.length, maxBodyBytes, fleet });
  const config = join(folder, "nginx.conf");
  writeFileSync(config, moved(rendered, image, folder, options));
  const libraries = `${image}/usr/lib/x86_64-linux-gnu:${image}/lib/x86_64-linux-gnu`;
  return {
    command: [
      // The host need not have an nginx, nor its libraries.
      ...[`${image}/lib64/ld-linux-x86-64.so.2`, "--library-path", libraries, `${image}/usr/sbin/nginx`],
      ...["-c", config, "-g", "daemon off;"],
    ],
    certificate,
  };
}

function makeCertificate(folder: string): string {
  const file = join(folder, "certificate.pem");
  const args = [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
    ...["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
    ...["-keyout", join(folder, "key.pem"), "-out", file],
  ];
  execFileSync("openssl", args, { stdio: "ignore" });
  return readFileSync(file, "utf8");
}

function moved(
  config: string,
  image: string,
  folder: string,
  { port, workerPorts }: Pick<GatewayOptions, "port" | "workerPorts">,
): string {
  const temporary = ["proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  );
  const syslog = "syslog:server=unix:/dev/log,tag=qwen3_gateway,nohostname";
  const replacements: [string, string][] = [
    ["http {", `http {\n    ${temporary.join("\n    ")}`],
    [
      "include /etc/nginx/modules-enabled/*.conf;",
      `load_module ${image}/usr/lib/nginx/modules/ngx_http_js_module.so;`,
    ],
    ["user www-data;", "user root;"],
    ["pid /run/nginx.pid", `pid ${folder}/nginx.pid`],
    [`error_log ${syslog}`, `error_log ${folder}/error.log`],
    [`access_log ${syslog}`, `access_log ${folder}/access.log`],
    ["js_path /etc/nginx/qwen3/", `js_path ${folder}/js/`],
    ["listen 443", `listen 127.0.0.1:${port}`],
    ...workerPorts.map((worker, index): [string, string] => [
      `127.0.0.1:${FIRST_WORKER_PORT + index} `,
      `127.0.0.1:${worker} `,
    ]),
  ];
  const text = replacements.reduce((result, [from, to]) => {
    if (!result.includes(from)) {
      throw new Error(`nginx.conf has no ${JSON.stringify(from)}`);
    }
    return result.replace(from, to);
  }, config);
  return text.replaceAll("/run/qwen3", join(folder, "qwen3"));
}
