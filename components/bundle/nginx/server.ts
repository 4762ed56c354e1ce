import { GATEWAY_PORT, LONGEST_ANSWER_SECONDS, PATHS, QUEUED_REQUESTS, ROUTES, TLS_FILES } from "../contract";
import { errorLocations } from "./errors";
import { UNAUTHENTICATED_BURST } from "./http";
import type { GatewayConfig } from "./index";

/** Large bodies at a time: with the default maxBodyBytes, up to 1 GiB of nginx's memory per worker, 256 MiB per client. */
const CLIENT_LARGE_PER_WORKER = 32;
const LARGE_PER_WORKER = 128;
/** Of a GET request, which needs none: a body is buffered before it is passed on, and /health needs no key. */
const SMALL_BODY_BYTES = 1024;

export function server({ workers, maxBodyBytes }: Pick<GatewayConfig, "workers" | "maxBodyBytes">): string {
  return `    server {
        listen ${GATEWAY_PORT} ssl http2 default_server backlog=4096;

        ssl_certificate ${PATHS.tls}/${TLS_FILES.certificate};
        ssl_certificate_key ${PATHS.tls}/${TLS_FILES.privateKey};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20;
        ssl_session_cache shared:tls:10m;
        ssl_session_tickets off;

        limit_req zone=unauthenticated burst=${UNAUTHENTICATED_BURST} nodelay;
        limit_conn addresses 1024;
        # As many as the workers queue; more would only fill memory.
        limit_conn clients ${QUEUED_REQUESTS * workers};
        limit_conn large ${CLIENT_LARGE_PER_WORKER * workers};
        limit_conn any_large ${LARGE_PER_WORKER * workers};
        merge_slashes off;
        # Exists while the instance completes its requests before its address moves; a pattern, because it may be absent.
        include ${PATHS.drain}*;

        add_header X-Request-Id $request_id always;
        add_header X-Content-Type-Options nosniff always;

        # nginx refuses some requests before it has counted them: an internal redirect to a path counts them, one to a
        # named location does not.
        recursive_error_pages on;
        error_page 400 414 421 494 495 496 501 505 =400 /refuse/bad_request;
        error_page 404 /refuse/not_found;
        error_page 405 /refuse/method_not_allowed;
        error_page 413 /refuse/too_large;
        error_page 429 @too_many;
        error_page 497 =400 /refuse/plain_http;
        error_page 500 502 503 504 =503 @unavailable;

        location / {
            rewrite ^ /refuse/not_found? last;
        }

${routes(maxBodyBytes)}

        # Error responses, with no file to try: \`return\` would come before limit_req has counted.
${REFUSALS.map(refusal).join("\n")}

${errorLocations()}
    }
`;
}

function routes(maxBodyBytes: number): string {
  const { embeddings, models, health } = ROUTES;
  return [
    // 32,000 tokens, or a full batch, behind others in the queue.
    route(embeddings, { needsKey: true, seconds: LONGEST_ANSWER_SECONDS, maxBodyBytes }),
    route(models, { needsKey: true, seconds: 5, maxBodyBytes: SMALL_BODY_BYTES }),
    route(health, { needsKey: false, seconds: 5, maxBodyBytes: SMALL_BODY_BYTES }),
  ].join("\n\n");
}

/**
 * Passes one method of one path to the workers, without the query, in two locations: nginx checks the size of the body
 * when it enters the second. nginx normalises paths, so the original form is compared as well.
 */
function route(
  { method, path }: { method: string; path: string },
  { needsKey, seconds, maxBodyBytes }: { needsKey: boolean; seconds: number; maxBodyBytes: number },
): string {
  return `        location = ${path} {
            if ($request_uri !~ "^${path}(\\?|$)") {
                rewrite ^ /refuse/not_found? last;
            }
            if ($request_method != ${method}) {
                rewrite ^ /refuse/method_not_allowed? last;
            }
${needsKey ? REQUIRE_KEY : ""}            set $qwen3_max_body_bytes ${maxBodyBytes};
            rewrite ^ /pass${path}? last;
        }
        location = /pass${path} {
            internal;
            client_max_body_size ${maxBodyBytes};
            proxy_read_timeout ${seconds}s;
            proxy_pass http://workers${path};
        }`;
}

const REQUIRE_KEY = `            if ($qwen3_access = unavailable) {
                rewrite ^ /refuse/unavailable? last;
            }
            if ($qwen3_client = "") {
                rewrite ^ /refuse/unauthorized? last;
            }
`;

const REFUSALS = [
  "bad_request",
  "plain_http",
  "unauthorized",
  "not_found",
  "method_not_allowed",
  "too_large",
  "unavailable",
];

function refusal(name: string): string {
  return `        location = /refuse/${name} {
            internal;
            try_files /none @${name};
        }`;
}
