import { ACCOUNTS, FIRST_WORKER_PORT, PATHS, UPSTREAM_IDLE_SECONDS } from "../contract";
import { type BundleConfig, LOAD_BALANCER_IDLE_SECONDS } from "../instanceConfig";
import { ACCESS_LOG, AUTH, LOG_SERVER, limits, realAddress } from "./http";
import { server } from "./server";

export type GatewayConfig = Pick<BundleConfig, "workers" | "maxBodyBytes" | "fleet">;

/**
 * The whole nginx.conf: TLS, three routes and no others, unauthenticated requests refused by the digest of their token,
 * OpenAI's shape for every error, and the workers by least connections. For nginx 1.22 and later.
 */
export function nginxConf(config: GatewayConfig): string {
  return `# Rendered by components/bundle/nginx.
include /etc/nginx/modules-enabled/*.conf;

user ${ACCOUNTS.gatewayUser};
worker_processes auto;
pid /run/nginx.pid;
error_log ${LOG_SERVER} warn;

events {
    worker_connections 8192;
}

http {
    server_tokens off;
    default_type application/json;

${AUTH}
${config.fleet ? realAddress(config.fleet.trustedProxies) : ""}${limits()}
${ACCESS_LOG}
${connections(config)}
${upstream(config.workers)}
${PROXY}
${server(config)}}
`;
}

function connections(config: GatewayConfig): string {
  return `    # nginx reads a whole body into memory before a worker gets it: a slow sender holds no worker, and no text is on a disk.
    client_max_body_size ${config.maxBodyBytes};
    client_body_buffer_size ${config.maxBodyBytes};
    client_body_temp_path ${PATHS.gatewayRuntime}/body;
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
        # Shared by nginx's processes: without it each counts its own connections only.
        zone workers 256k;
        least_conn;
        # A worker that is down refuses the connection, and the request goes to the next. nginx's own count of failures
        # would at times mark every worker as failed, while one has just started.
${servers.join("\n")}
        keepalive 64;
        # Shorter than the workers' own: a request must not meet a connection that its worker is closing.
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
    # A POST goes to another worker only where nothing was sent: a request that ended one worker must not end the next.
    proxy_next_upstream error timeout;
    # A small response frees its worker at once. 2,048 vectors as base64 are 28 MB: what a slow reader has not taken waits
    # in the worker, never on a disk.
    proxy_buffers 64 64k;
    proxy_buffer_size 64k;
    proxy_max_temp_file_size 0;
`;
