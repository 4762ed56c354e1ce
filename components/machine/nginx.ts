import { type BundleConfig, FIRST_WORKER_PORT, PATHS } from "./config";

/**
 * The whole nginx.conf: TLS, three routes and no others, strangers refused at the edge by the digest of their
 * token, OpenAI's shape for every error, and the workers by least connections.
 */
export function nginxConf(config: Pick<BundleConfig, "workers" | "maxBodyBytes">): string {
  return `# Rendered from components/machine/nginx.ts.
include /etc/nginx/modules-enabled/*.conf;

user www-data;
worker_processes auto;
pid /run/nginx.pid;
error_log syslog:server=unix:/dev/log,tag=qwen3_edge,nohostname warn;

events {
    worker_connections 8192;
}

http {
    server_tokens off;
    default_type application/json;

    js_path /etc/nginx/qwen3/;
    js_import edge from edge.js;
    # "ok:CLIENT", "missing", "invalid" or "loading".
    js_set $qwen3_access edge.access;
    map $qwen3_access $qwen3_client {
        "~^ok:(?<name>.+)$" $name;
        default             "";
    }
    # RFC 6750, section 3.1: no error code where no key was sent.
    map $qwen3_access $qwen3_challenge {
        missing 'Bearer realm="qwen3-embedding"';
        default 'Bearer realm="qwen3-embedding", error="invalid_token"';
    }
    map $qwen3_access $qwen3_refusal {
        missing '${error("You did not provide an API key. Send it as Authorization: Bearer KEY.")}';
        default '${error("The API key is not valid.", { code: "invalid_api_key" })}';
    }
    map $uri $qwen3_allow {
        /v1/embeddings POST;
        default        GET;
    }

    # One line of JSON a request, to the journal; never a header and never a body.
    log_format qwen3 escape=json '{"request_id":"$request_id","client":"$qwen3_client","remote":"$remote_addr",'
        '"method":"$request_method","path":"$uri","status":"$status","bytes_in":"$request_length","bytes_out":"$bytes_sent",'
        '"seconds":"$request_time","worker":"$upstream_addr","worker_seconds":"$upstream_response_time"}';
    access_log syslog:server=unix:/dev/log,tag=qwen3_edge,nohostname qwen3;

    # A body is read whole before it goes to a worker, in memory: a slow sender holds no worker, and no text is on a disk.
    client_max_body_size ${config.maxBodyBytes};
    client_body_buffer_size 1m;
    client_body_temp_path /run/qwen3-nginx/body;
    client_header_timeout 10s;
    client_body_timeout 10s;
    send_timeout 30s;
    keepalive_timeout 75s;
    reset_timedout_connection on;

    limit_conn_zone $binary_remote_addr zone=addresses:10m;
    limit_conn_status 429;

    upstream workers {
        # Shared by nginx's processes: without it each counts its own connections only.
        zone workers 256k;
        least_conn;
${workerServers(config.workers)}
        keepalive 64;
    }

    proxy_http_version 1.1;
    proxy_set_header Connection "";
    # Authorization passes through: the worker checks it again.
    proxy_set_header Host $host;
    proxy_set_header X-Request-Id $request_id;
    proxy_connect_timeout 2s;
    # 32,000 tokens, or a full batch, behind others in the queue.
    proxy_read_timeout 300s;
    # To another worker only where nothing was sent: a request that ended one worker must not end the next.
    proxy_next_upstream error;
    # 2,048 vectors as base64 are 28 MB; they stay in memory too.
    proxy_buffers 64 64k;
    proxy_buffer_size 64k;
    proxy_max_temp_file_size 0;

    server {
        listen 443 ssl http2 default_server backlog=4096;

        ssl_certificate ${PATHS.runtime}/tls/certificate.pem;
        ssl_certificate_key ${PATHS.runtime}/tls/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:tls:10m;
        ssl_session_tickets off;

        limit_conn addresses 1024;
        merge_slashes off;

        add_header X-Request-Id $request_id always;
        add_header X-Content-Type-Options nosniff always;

        error_page 400 414 431 494 495 496 497 @bad_request;
        error_page 401 @unauthorized;
        error_page 403 404 @not_found;
        error_page 405 @method_not_allowed;
        error_page 408 @timeout;
        error_page 413 @too_large;
        error_page 429 @too_many;
        error_page 500 502 503 504 =503 @unavailable;

        # A path is written plainly or it is not found: nginx decodes and normalises before it chooses a location.
        if ($request_uri !~ "^/(v1/embeddings|v1/models|health)(\\?|$)") {
            return 404;
        }

        location / {
            return 404;
        }

        location = /v1/embeddings {
            if ($request_method != POST) {
                return 405;
            }
${REQUIRE_KEY}
            proxy_pass http://workers;
        }

        location = /v1/models {
            if ($request_method != GET) {
                return 405;
            }
${REQUIRE_KEY}
            proxy_pass http://workers;
        }

        location = /health {
            if ($request_method != GET) {
                return 405;
            }
            proxy_pass http://workers;
        }

${errorLocation("bad_request", 400, error("The request could not be read."))}
${errorLocation("unauthorized", 401, "$qwen3_refusal", { "WWW-Authenticate": "$qwen3_challenge" })}
${errorLocation("not_found", 404, error("There is no such route. This server has POST /v1/embeddings, GET /v1/models and GET /health.", { code: "not_found" }))}
${errorLocation("method_not_allowed", 405, error("This route takes another method; see the header Allow.", { code: "method_not_allowed" }), { Allow: "$qwen3_allow" })}
${errorLocation("timeout", 408, error("The request took too long to arrive."))}
${errorLocation("too_large", 413, error(`The request body is larger than ${config.maxBodyBytes} bytes.`, { code: "request_too_large" }))}
${errorLocation("too_many", 429, error("Too many connections from this address.", { type: "requests", code: "rate_limit_exceeded" }), { "Retry-After": "1" })}
${errorLocation("unavailable", 503, error("The server is not ready. Try again.", { type: "server_error", code: "service_unavailable" }), { "Retry-After": "2" })}
    }
}
`;
}

const REQUIRE_KEY = `            if ($qwen3_access = loading) {
                return 503;
            }
            if ($qwen3_client = "") {
                return 401;
            }`;

function workerServers(workers: number): string {
  return Array.from(
    { length: workers },
    (_, index) => `        server 127.0.0.1:${FIRST_WORKER_PORT + index} max_fails=1 fail_timeout=2s;`,
  ).join("\n");
}

/** An error in OpenAI's shape, as JSON without a single quote, for use between single quotes. */
function error(message: string, { type = "invalid_request_error", code = null as string | null } = {}): string {
  return JSON.stringify({ error: { message, type, param: null, code } });
}

/** A named location that answers with a status and a body. Its own add_header lines replace the server's. */
function errorLocation(name: string, status: number, body: string, headers: Record<string, string> = {}): string {
  const lines = Object.entries({ "X-Request-Id": "$request_id", "X-Content-Type-Options": "nosniff", ...headers })
    .map(([header, value]) => `            add_header ${header} ${value} always;`)
    .join("\n");
  return `        location @${name} {
${lines}
            return ${status} '${body}';
        }`;
}
