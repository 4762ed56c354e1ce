import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nginxConf } from "../../../components/machine/nginx";
import { buildImage } from "../../../local/image";
import { ROOT } from "../../../local/paths";
import { waitUntil } from "../../../local/process";
import type { Processes } from "./processes";

const MAX_BODY_BYTES = 8 << 20;

export interface Edge {
  /** Base URL. */
  url: string;
  /** PEM of its certificate. */
  ca: string;
}

/**
 * The machine's nginx with its rendered nginx.conf, on this machine's loopback: unchanged but for paths, ports, the user
 * and where it logs.
 *
 * @param folder holds `keys`, as writeKeys makes it
 */
export async function startEdge(
  processes: Processes,
  folder: string,
  port: number,
  workerPorts: readonly number[],
): Promise<Edge> {
  const image = await buildImage(() => undefined);
  for (const name of ["tls", "js", "nginx", "run-nginx"]) {
    mkdirSync(join(folder, name), { recursive: true });
  }
  makeCertificate(join(folder, "tls"));
  const script = readFileSync(join(ROOT, "components/machine/files/nginx/edge.js"), "utf8");
  writeFileSync(join(folder, "js/edge.js"), script.replace("/run/qwen3/keys", join(folder, "keys")));
  const config = join(folder, "nginx.conf");
  writeFileSync(
    config,
    moved(
      nginxConf({ workers: workerPorts.length, maxBodyBytes: MAX_BODY_BYTES }),
      image,
      folder,
      port,
      workerPorts,
    ),
  );
  const libraries = `${image}/usr/lib/x86_64-linux-gnu:${image}/lib/x86_64-linux-gnu`;
  processes.start(
    "nginx",
    `${image}/lib64/ld-linux-x86-64.so.2`,
    ["--library-path", libraries, `${image}/usr/sbin/nginx`, "-c", config, "-g", "daemon off;"],
    { PATH: process.env.PATH },
  );
  const ca = readFileSync(join(folder, "tls/certificate.pem"), "utf8");
  await waitUntil(() => listens(port), 10_000, "nginx");
  return { url: `https://127.0.0.1:${port}/v1`, ca };
}

function makeCertificate(folder: string): void {
  const args = [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
    ...["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
    ...["-keyout", join(folder, "key.pem"), "-out", join(folder, "certificate.pem")],
  ];
  execFileSync("openssl", args, { stdio: "ignore" });
}

function moved(
  config: string,
  image: string,
  folder: string,
  port: number,
  workerPorts: readonly number[],
): string {
  const temporary = ["proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${folder}/nginx/${name};`,
  );
  const replacements: [string, string][] = [
    ["http {", `http {\n    ${temporary.join("\n    ")}`],
    [
      "include /etc/nginx/modules-enabled/*.conf;",
      `load_module ${image}/usr/lib/nginx/modules/ngx_http_js_module.so;`,
    ],
    ["user www-data;", "user root;"],
    ["pid /run/nginx.pid", `pid ${folder}/nginx.pid`],
    [
      "error_log syslog:server=unix:/dev/log,tag=qwen3_edge,nohostname",
      `error_log ${folder}/nginx-error.log`,
    ],
    [
      "access_log syslog:server=unix:/dev/log,tag=qwen3_edge,nohostname",
      `access_log ${folder}/nginx-access.log`,
    ],
    ["js_path /etc/nginx/qwen3/", `js_path ${folder}/js/`],
    ["listen 443", `listen 127.0.0.1:${port}`],
  ];
  const text = replacements.reduce((result, [from, to]) => {
    if (!result.includes(from)) {
      throw new Error(`nginx.conf has no ${JSON.stringify(from)}`);
    }
    return result.replace(from, to);
  }, config);
  return workerPorts.reduce(
    (result, worker, index) => result.replace(`127.0.0.1:${30_000 + index} `, `127.0.0.1:${worker} `),
    text.replaceAll("/run/qwen3-nginx", join(folder, "run-nginx")).replaceAll("/run/qwen3", folder),
  );
}

async function listens(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/`).then(
    () => true,
    () => false,
  );
}
