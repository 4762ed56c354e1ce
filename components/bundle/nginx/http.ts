import { ERRORS, PATHS, ROUTES } from "../contract";
import { errorBody } from "./errors";

/** Requests a second without a valid key from one address, and at once. Clients are not limited by it. */
const UNAUTHENTICATED_PER_SECOND = 20;
export const UNAUTHENTICATED_BURST = 100;

export const LOG_SERVER = "syslog:server=unix:/dev/log,tag=qwen3_gateway,nohostname";

const { missingKey, invalidKey } = ERRORS;

/** Who sends a request, and what an unauthenticated one is told. */
export const AUTH = `    js_path ${PATHS.gatewayScripts}/;
    js_import auth from auth.js;
    # "ok:CLIENT", "missing", "invalid" or "unavailable".
    js_set $qwen3_access auth.access;
    map $qwen3_access $qwen3_client {
        "~^ok:(?<qwen3_name>.+)$" $qwen3_name;
        default                   "";
    }
    # RFC 6750, section 3.1: no error code where no key was sent.
    map $qwen3_access $qwen3_challenge {
        missing '${missingKey.headers["WWW-Authenticate"]}';
        default '${invalidKey.headers["WWW-Authenticate"]}';
    }
    map $qwen3_access $qwen3_refusal {
        missing '${errorBody(missingKey)}';
        default '${errorBody(invalidKey)}';
    }
    # As it was sent, without the query: internal redirects change $uri.
    map $request_uri $qwen3_path {
        "~^(?<qwen3_sent>[^?]{0,200})" $qwen3_sent;
    }
    map $qwen3_path $qwen3_allow {
        ${ROUTES.embeddings.path} ${ROUTES.embeddings.method};
        default        ${ROUTES.models.method};
    }
`;

/** The client's address is the last one in the header: a client may have written those before it. */
export function realAddress(ranges: string[]): string {
  return `    # Limits and log use the client's address, not the load balancer's. The security group lets in nothing else.
${ranges.map((range) => `    set_real_ip_from ${range};`).join("\n")}
    real_ip_header X-Forwarded-For;
    real_ip_recursive off;

`;
}

export function limits(): string {
  return `    # Unauthenticated requests: ${UNAUTHENTICATED_PER_SECOND} a second for each address. Clients are not counted.
    map $qwen3_client $qwen3_unauthenticated {
        ""      $binary_remote_addr;
        default "";
    }
    limit_req_zone $qwen3_unauthenticated zone=unauthenticated:10m rate=${UNAUTHENTICATED_PER_SECOND}r/s;
    limit_req_status ${ERRORS.tooManyRequests.status};
    limit_req_log_level info;
    limit_conn_zone $binary_remote_addr zone=addresses:10m;
    limit_conn_zone $qwen3_client zone=clients:1m;
    # Bodies wait in memory: fewer at a time of those from 100,000 bytes, and of those without a length.
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
    limit_conn_status ${ERRORS.tooManyRequests.status};
    limit_conn_log_level info;
`;
}

export const ACCESS_LOG = `    # One line of JSON for each request, to the journal; never a header, a query or a body. Of unauthenticated requests
    # beyond their limit, and of those that cannot be read, one in a hundred is logged, with a weight of a hundred: a
    # flood is counted and fills no disk.
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
    access_log ${LOG_SERVER} qwen3 if=$qwen3_logged;
`;
