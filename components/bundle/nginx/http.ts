import { ERRORS, PATHS, ROUTES } from "../contract";
import { JOURNALS, syslogSocket } from "../systemd/journals";
import { errorBody } from "./errors";

/** Unauthenticated requests per second from one address, and their burst. Authenticated requests do not count. */
const UNAUTHENTICATED_PER_SECOND = 20;
export const UNAUTHENTICATED_BURST = 100;

/** Where nginx logs requests: those with a valid key, and all others. */
export const REQUEST_LOGS = {
  authenticated: logServer(syslogSocket(JOURNALS.requests)),
  unauthenticated: logServer(syslogSocket(JOURNALS.unauthenticated)),
};

function logServer(socket: string): string {
  return `syslog:server=unix:${socket},tag=qwen3_gateway,nohostname`;
}

const { missingKey, invalidKey } = ERRORS;

/** Authentication, and the response to an unauthenticated request. */
export const AUTH = `    js_path ${PATHS.gatewayScripts}/;
    js_import auth from auth.js;
    # "ok:CLIENT", "missing", "invalid" or "unavailable".
    js_set $qwen3_access auth.access;
    map $qwen3_access $qwen3_client {
        "~^ok:(?<qwen3_name>.+)$" $qwen3_name;
        default                   "";
    }
    # RFC 6750, section 3.1: no error code if no key was sent.
    map $qwen3_access $qwen3_challenge {
        missing '${missingKey.headers["WWW-Authenticate"]}';
        default '${invalidKey.headers["WWW-Authenticate"]}';
    }
    map $qwen3_access $qwen3_refusal {
        missing '${errorBody(missingKey)}';
        default '${errorBody(invalidKey)}';
    }
    # The route, from the path as it was sent: internal redirects change $uri. Clients have sent keys in other paths.
    map $request_uri $qwen3_path {
${Object.values(ROUTES)
  .map(({ path }) => `        "~^${path}(\\?|$)" ${path};`)
  .join("\n")}
        default other;
    }
    map $qwen3_path $qwen3_allow {
        ${ROUTES.embeddings.path} ${ROUTES.embeddings.method};
        default        ${ROUTES.models.method};
    }
`;

/** The client's address is the last one in the header: a client can send a header with earlier ones. */
export function realAddress(ranges: string[]): string {
  return `    # Limits and log use the client's address, not the load balancer's. The security group allows no other traffic.
${ranges.map((range) => `    set_real_ip_from ${range};`).join("\n")}
    real_ip_header X-Forwarded-For;
    real_ip_recursive off;

`;
}

export function limits(): string {
  return `    # Unauthenticated requests: ${UNAUTHENTICATED_PER_SECOND} per second per address. Authenticated requests do not count.
    map $qwen3_client $qwen3_unauthenticated {
        ""      $binary_remote_addr;
        default "";
    }
    limit_req_zone $qwen3_unauthenticated zone=unauthenticated:10m rate=${UNAUTHENTICATED_PER_SECOND}r/s;
    limit_req_status ${ERRORS.tooManyRequests.status};
    limit_req_log_level info;
    limit_conn_zone $binary_remote_addr zone=addresses:10m;
    limit_conn_zone $qwen3_client zone=clients:1m;
    # Bodies are buffered in memory: fewer requests at a time with 100,000 bytes or more, or without a length.
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

/** Refusals that cost the sender little. Unauthenticated ones are sampled. */
const SAMPLED = "400|405|408|413|414|429";

export const ACCESS_LOG = `    # One line of JSON per request, to the journal: nothing that the client has sent, only what it was matched with. Of
    # unauthenticated requests beyond their limit, and of malformed requests, one in a hundred is logged, with a weight of
    # 100: a flood is counted but does not fill the disk.
    split_clients $request_id $qwen3_hundredth {
        1% 1;
        *  "";
    }
    map $qwen3_client:$status $qwen3_unauthenticated_logged {
        "~^:(${SAMPLED})$" $qwen3_hundredth;
        "~^:"   1;
        default "";
    }
    map $qwen3_client:$status $qwen3_weight {
        "~^:(${SAMPLED})$" 100;
        default 1;
    }
    # $request_method is GET after an internal redirect.
    map $request $qwen3_method {
        "~^(?<qwen3_verb>GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE|CONNECT) " $qwen3_verb;
        default other;
    }
    log_format qwen3 escape=json '{"time":"$time_iso8601","request_id":"$request_id","client":"$qwen3_client",'
        '"remote":"$remote_addr","method":"$qwen3_method","path":"$qwen3_path","status":$status,"weight":$qwen3_weight,'
        '"bytes_in":$request_length,"bytes_out":$bytes_sent,"seconds":$request_time,'
        '"worker":"$upstream_addr","worker_seconds":"$upstream_response_time"}';
    access_log ${REQUEST_LOGS.authenticated} qwen3 if=$qwen3_client;
    access_log ${REQUEST_LOGS.unauthenticated} qwen3 if=$qwen3_unauthenticated_logged;
`;
