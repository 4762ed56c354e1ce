import { ACCOUNTS, FIRST_WORKER_PORT, PATHS, UPSTREAM_IDLE_SECONDS } from "../contract";
import { type BundleConfig, LOAD_BALANCER_IDLE_SECONDS } from "../instanceConfig";
import { ACCESS_LOG, AUTH, limits, realAddress } from "./http";
import { server } from "./server";

export type GatewayConfig = Pick<BundleConfig, "workers" | "maxBodyBytes" | "fleet">;

/**
 * The complete nginx.conf: TLS, three routes, authentication by the digest of the key, every error in OpenAI's format,
 * and the workers by least connections. For nginx 1.22 and later.
 */
export function nginxConf(config: GatewayConfig): string {
  return `# Rendered by components/bundle/nginx.
include /etc/nginx/modules-enabled/*.conf;

user ${ACCOUNTS.gatewayUser};
worker_processes auto;
pid ${PID_FILE};
${ERROR_LOG}

events {
    worker_connections 8192;
}

http {
    server_tokens off;
    default_type application/json;
${CONNECTION_ERROR_LOG}

${AUTH}
${config.fleet ? realAddress(config.fleet.trustedProxies) : ""}${limits()}
${ACCESS_LOG}
${connections(config)}
${upstream(config.workers)}
${PROXY}
${server(config)}}
`;
}

/**
 * Messages about nginx itself, to the unit's journal. A log that is not a file, such as syslog, would not replace the one
 * that nginx is built with, and each line would be written to both.
 */
export const ERROR_LOG = "error_log stderr warn;";

/**
 * Messages about connections and requests, below nginx's highest level, are not logged: they contain the request line
 * with its query, Host and Referer, and a client can cause thousands in a second. The access log has the status, the
 * worker and the times of each request.
 */
export const CONNECTION_ERROR_LOG = "    error_log stderr emerg;";

/** nginx's own process ID, in a folder that its unit may write to. */
export const PID_FILE = `${PATHS.gatewayRuntime}/nginx.pid`;

/** nginx creates them at its start, but nothing is written to them. */
const TEMPORARY_FOLDERS = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];

function connections(config: GatewayConfig): string {
  return `    # nginx reads the whole body into memory before it passes it on: a slow client occupies no worker, no text is on disk.
    # The routes limit its size: nginx checks the size before it counts requests, and would count none that is too large.
    client_max_body_size 0;
    client_body_buffer_size ${config.maxBodyBytes};
${TEMPORARY_FOLDERS.map((name) => `    ${name}_temp_path ${PATHS.gatewayRuntime}/${name};`).join("\n")}
    client_header_timeout 10s;
    client_body_timeout 10s;
    send_timeout 30s;
    keepalive_timeout ${config.fleet ? LOAD_BALANCER_IDLE_SECONDS + 10 : 75}s;
    keepalive_requests 10000;
    reset_timedout_connection on;
`;
}

function upstream(workers: number): string {
  const servers = Array.from(
    { length: workers },
    (_, index) => `        server 127.0.0.1:${FIRST_WORKER_PORT + index} max_fails=0;`,
  );
  return `    upstream workers {
        # Shared by nginx's processes: without a zone, each process counts only its own connections.
        zone workers 256k;
        least_conn;
        # A worker that is down refuses the connection, and nginx tries the next one. nginx's own count of failures
        # would sometimes mark every worker as failed although one has just started.
${servers.join("\n")}
        keepalive 64;
        # Shorter than the workers' own timeout: nginx must not use a connection that its worker is closing.
        keepalive_timeout ${UPSTREAM_IDLE_SECONDS}s;
    }
`;
}

const PROXY = `    proxy_http_version 1.1;
    proxy_set_header Connection "";
    # The worker checks the key again.
    proxy_set_header Authorization $http_authorization;
    proxy_set_header Host $host;
    proxy_set_header X-Request-Id $request_id;
    proxy_connect_timeout 2s;
    # A POST goes to another worker only if nothing was sent: a request that crashed one worker must not crash the next.
    proxy_next_upstream error timeout;
    # A small response releases its worker immediately. 2,048 vectors as base64 are 28 MB: what a slow client has not
    # read waits in the worker, never on disk.
    proxy_buffers 64 64k;
    proxy_buffer_size 64k;
    proxy_max_temp_file_size 0;
`;
