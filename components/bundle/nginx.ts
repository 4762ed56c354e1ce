import {
  type BundleConfig,
  FIRST_WORKER_PORT,
  LOAD_BALANCER_IDLE_SECONDS,
  LONGEST_ANSWER_SECONDS,
  PATHS,
} from "./instanceConfig";

/**
 * The whole nginx.conf: TLS, three routes and no others, strangers refused at the edge by the digest of their
 * token, OpenAI's shape for every error, and the workers by least connections. For nginx 1.22 and later.
 */
export function nginxConf(config: Pick<BundleConfig, "workers" | "maxBodyBytes" | "fleet">): string {
  return `# Rendered from components/bundle/nginx.ts.
include /etc/nginx/modules-enabled/*.conf;

user www-data;
worker_processes auto;
pid /run/nginx.pid;
error_log syslog:server=unix:/dev/log,tag=qwen3_gateway,nohostname warn;

events {
    worker_connections 8192;
}

http {
    server_tokens off;
    default_type application/json;

    js_path /etc/nginx/qwen3/;
    js_import auth from auth.js;
    # "ok:CLIENT", "missing", "invalid" or "loading".
    js_set $qwen3_access auth.access;
    map $qwen3_access $qwen3_client {
        "~^ok:(?<qwen3_name>.+)$" $qwen3_name;
        default                   "";
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
    # As it was sent, without the query: what nginx makes of it changes on the way to a refusal.
    map $request_uri $qwen3_path {
        "~^(?<qwen3_sent>[^?]{0,200})" $qwen3_sent;
    }
    map $qwen3_path $qwen3_allow {
        /v1/embeddings POST;
        default        GET;
    }

${config.fleet ? behindLoadBalancer(config.fleet.trustedProxies) : ""}    # Whoever has no key shares ${UNAUTHENTICATED_PER_SECOND} requests a second with the rest of its address; clients are not counted.
    map $qwen3_client $qwen3_unauthenticated {
        ""      $binary_remote_addr;
        default "";
    }
    limit_req_zone $qwen3_unauthenticated zone=unauthenticated:10m rate=${UNAUTHENTICATED_PER_SECOND}r/s;
    limit_req_status 429;
    limit_req_log_level info;
    limit_conn_zone $binary_remote_addr zone=addresses:10m;
    limit_conn_zone $qwen3_client zone=clients:1m;
    # Bodies wait in memory: of those from 100,000 bytes, and of those that do not say, fewer at a time.
    map $content_length $qwen3_size {
        "~^[0-9]{1,5}$" small;
        default         large;
    }
    map $request_method:$qwen3_size:$qwen3_client $qwen3_large {
        "~^POST:large:(?<qwen3_sender>.+)$" $qwen3_sender;
        default                              "";
    }
    map $qwen3_large $qwen3_any_large {
        ""      "";
        default all;
    }
    limit_conn_zone $qwen3_large zone=large:1m;
    limit_conn_zone $qwen3_any_large zone=any_large:1m;
    limit_conn_status 429;
    limit_conn_log_level info;

    # One line of JSON a request, to the journal; never a header, a query or a body. Of a stranger's requests beyond its
    # share, and of those that cannot be read, one in a hundred is written and weighs a hundred: a flood is counted and
    # fills no disk.
    split_clients $request_id $qwen3_hundredth {
        1% 1;
        *  "";
    }
    map $qwen3_client:$status $qwen3_logged {
        "~^:(400|413|414|429)$" $qwen3_hundredth;
        default                 1;
    }
    map $qwen3_client:$status $qwen3_weight {
        "~^:(400|413|414|429)$" 100;
        default                 1;
    }
    log_format qwen3 escape=json '{"time":"$time_iso8601","request_id":"$request_id","client":"$qwen3_client",'
        '"remote":"$remote_addr","method":"$request_method","path":"$qwen3_path","status":$status,"weight":$qwen3_weight,'
        '"bytes_in":$request_length,"bytes_out":$bytes_sent,"seconds":$request_time,'
        '"worker":"$upstream_addr","worker_seconds":"$upstream_response_time"}';
    access_log syslog:server=unix:/dev/log,tag=qwen3_gateway,nohostname qwen3 if=$qwen3_logged;

    # A body is read whole before it goes to a worker, in memory: a slow sender holds no worker, and no text is on a disk.
    client_max_body_size ${config.maxBodyBytes};
    client_body_buffer_size ${config.maxBodyBytes};
    client_body_temp_path ${PATHS.runtime}-nginx/body;
    client_header_timeout 10s;
    client_body_timeout 10s;
    send_timeout 30s;
    keepalive_timeout ${config.fleet ? LOAD_BALANCER_IDLE_SECONDS + 10 : 75}s;
    keepalive_requests 10000;
    reset_timedout_connection on;

    upstream workers {
        # Shared by nginx's processes: without it each counts its own connections only.
        zone workers 256k;
        least_conn;
        # A worker that is not there refuses at once, and the request goes to the next. nginx's own count of failures
        # would now and then hold every worker for failed, while one has not yet shown that it is well.
${workerServers(config.workers)}
        keepalive 64;
        # Less than the workers' own: a request must not meet a connection that its worker is closing.
        keepalive_timeout 60s;
    }

    proxy_http_version 1.1;
    proxy_set_header Connection "";
    # Authorization passes through: the worker checks it again.
    proxy_set_header Host $host;
    proxy_set_header X-Request-Id $request_id;
    proxy_connect_timeout 2s;
    # To another worker only where nothing was sent, for a POST: a request that ended one worker must not end the next.
    proxy_next_upstream error timeout;
    # A small answer frees its worker at once. 2,048 vectors as base64 are 28 MB: what a slow reader has not taken waits
    # in the worker, never on a disk.
    proxy_buffers 64 64k;
    proxy_buffer_size 64k;
    proxy_max_temp_file_size 0;

    server {
        listen 443 ssl http2 default_server backlog=4096;

        ssl_certificate ${PATHS.runtime}/tls/certificate.pem;
        ssl_certificate_key ${PATHS.runtime}/tls/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20;
        ssl_session_cache shared:tls:10m;
        ssl_session_tickets off;

        limit_req zone=unauthenticated burst=${UNAUTHENTICATED_BURST} nodelay;
        limit_conn addresses 1024;
        # As many as its workers let wait; more would only fill memory.
        limit_conn clients ${CLIENT_REQUESTS_A_WORKER * config.workers};
        limit_conn large ${CLIENT_LARGE_A_WORKER * config.workers};
        limit_conn any_large ${LARGE_A_WORKER * config.workers};
        merge_slashes off;

        add_header X-Request-Id $request_id always;
        add_header X-Content-Type-Options nosniff always;

        error_page 400 414 494 495 496 505 =400 /refuse/bad_request;
        error_page 401 @unauthorized;
        error_page 404 @not_found;
        error_page 405 @method_not_allowed;
        error_page 413 @too_large;
        error_page 429 @too_many;
        error_page 497 @plain_http;
        error_page 500 502 503 504 =503 @unavailable;

        location / {
            rewrite ^ /refuse/not_found? last;
        }

        location = /v1/embeddings {
${only("POST", "/v1/embeddings")}
${REQUIRE_KEY}
            # 32,000 tokens, or a full batch, behind others in the queue.
            proxy_read_timeout ${LONGEST_ANSWER_SECONDS}s;
            proxy_pass http://workers;
        }

        location = /v1/models {
${only("GET", "/v1/models")}
${REQUIRE_KEY}
            proxy_read_timeout 5s;
            proxy_pass http://workers;
        }

        location = /health {
${only("GET", "/health")}
            proxy_read_timeout 5s;
            proxy_pass http://workers;
        }

        # Refusals, with no file to try: \`return\` would answer before limit_req has counted.
${refusal("not_found", 404)}
${refusal("method_not_allowed", 405)}
${refusal("unauthorized", 401)}

        # By a path, because a request line that could not be read has none, and a named location asks for one.
${errorLocation("= /refuse/bad_request", 400, error("The request could not be read."))}
${errorLocation("@plain_http", 400, error("This port speaks HTTPS; the request came as plain HTTP."))}
${errorLocation("@unauthorized", 401, "$qwen3_refusal", { "WWW-Authenticate": "$qwen3_challenge" })}
${errorLocation("@not_found", 404, error("There is no such route. This server has POST /v1/embeddings, GET /v1/models and GET /health.", { code: "not_found" }))}
${errorLocation("@method_not_allowed", 405, error("This route takes another method; see the header Allow.", { code: "method_not_allowed" }), { Allow: "$qwen3_allow" })}
${errorLocation("@too_large", 413, error(`The request body is larger than ${config.maxBodyBytes} bytes.`, { code: "request_too_large" }))}
${errorLocation("@too_many", 429, error("Too many requests at once. Try again.", { type: "requests", code: "rate_limit_exceeded" }), { "Retry-After": "1" })}
${errorLocation("@unavailable", 503, error("The server is not ready. Try again.", { type: "server_error", code: "service_unavailable" }), { "Retry-After": "2" })}
    }
}
`;
}

/** Who asks is whom the load balancer names last: what stands before that in the header, a client may have written. */
function behindLoadBalancer(ranges: string[]): string {
  return `    # Limits and log go by the client's address, not by the load balancer's. The security group lets in nobody else.
${ranges.map((range) => `    set_real_ip_from ${range};`).join("\n")}
    real_ip_header X-Forwarded-For;
    real_ip_recursive off;

`;
}

/** What one address may ask without a valid key. Clients are not slowed by it, wherever they are. */
const UNAUTHENTICATED_PER_SECOND = 20;
const UNAUTHENTICATED_BURST = 100;

/** As QWEN3_MAX_QUEUED_REQUESTS of the worker. */
const CLIENT_REQUESTS_A_WORKER = 256;

/** Large bodies at a time: with the default maxBodyBytes at most 1 GiB of nginx's memory a worker, 256 MiB for one client. */
const CLIENT_LARGE_A_WORKER = 32;
const LARGE_A_WORKER = 128;

const REQUIRE_KEY = `            if ($qwen3_access = loading) {
                return 503;
            }
            if ($qwen3_client = "") {
                rewrite ^ /refuse/unauthorized? last;
            }`;

/** A path is written plainly or it is not found: nginx decodes and normalises before it chooses a location. */
function only(method: "GET" | "POST", path: string): string {
  return `            if ($request_uri !~ "^${path}(\\?|$)") {
                rewrite ^ /refuse/not_found? last;
            }
            if ($request_method != ${method}) {
                rewrite ^ /refuse/method_not_allowed? last;
            }`;
}

function refusal(name: string, status: number): string {
  return `        location = /refuse/${name} {
            internal;
            try_files /none =${status};
        }`;
}

function workerServers(workers: number): string {
  return Array.from(
    { length: workers },
    (_, index) => `        server 127.0.0.1:${FIRST_WORKER_PORT + index} max_fails=0;`,
  ).join("\n");
}

/** An error in OpenAI's shape, as JSON without a single quote, for use between single quotes. */
function error(
  message: string,
  { type = "invalid_request_error", code = null as string | null } = {},
): string {
  return JSON.stringify({ error: { message, type, param: null, code } });
}

/** A location that answers with a status and a body. Its own add_header lines replace the server's. */
function errorLocation(
  location: string,
  status: number,
  body: string,
  headers: Record<string, string> = {},
): string {
  const lines = Object.entries({
    "X-Request-Id": "$request_id",
    "X-Content-Type-Options": "nosniff",
    ...headers,
  })
    .map(([header, value]) => `            add_header ${header} ${value} always;`)
    .join("\n");
  return `        location ${location} {${location.startsWith("=") ? "\n            internal;" : ""}
${lines}
            return ${status} '${body}';
        }`;
}
