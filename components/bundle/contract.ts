import contract from "../../machine/qwen3/contract.json";

// What the stack shares with the Python, the njs and the shell on an instance is written once, in contract.json. Python
// reads it in qwen3/contract.py; the bundle renders it for njs and the shell (contractFiles.ts).

/** Absolute paths on an instance. */
export const PATHS = contract.paths;

/**
 * Names below {@link PATHS.keys}: the folder of digests, one file for each by the key's SHA-256; `loaded`, which exists
 * once an unknown digest means a wrong key; `stale`, which exists while something cannot be read from AWS.
 */
export const KEY_FILES = contract.keyFiles;

/** A digest's file: the client of the key, and when it expires in seconds since the epoch, or null for never. */
export interface DigestFile {
  client: string;
  notAfter: number | null;
}

/** Names below {@link PATHS.tls}, in PEM. */
export const TLS_FILES = contract.tlsFiles;

/** The workers' user, nginx's, and the group that may read the digests. */
export const ACCOUNTS = contract.accounts;

/** Contents of {@link PATHS.drain}: every response closes its connection. */
export const DRAIN_CONFIGURATION = contract.drainConfiguration;

/** nginx's port on every address. */
export const GATEWAY_PORT = contract.ports.gateway;

/** The first worker's port on 127.0.0.1; worker N listens on `FIRST_WORKER_PORT + N`. */
export const FIRST_WORKER_PORT = contract.ports.firstWorker;

/** The only routes, by exact path and method. */
export const ROUTES = contract.routes;

/**
 * The served model: its name in responses and on Hugging Face, the dimensions of its vectors and the minimum to which
 * its training allows them to be shortened, the maximum length of an input in tokens including the appended end-of-text
 * token, and by how many tokens SGLang's context must exceed that length.
 */
export const SERVED_MODEL = contract.model;

/** The allowed keys, client names and grace periods. */
export const KEYS = contract.keys;

/** Maximum number of one client's requests in nginx, per worker, and of requests that a worker queues or computes. */
export const QUEUED_REQUESTS = contract.limits.queuedRequests;

/** Timeout of nginx for a worker, and of a worker for its client: enough for 32,000 tokens or a full batch in a queue. */
export const LONGEST_ANSWER_SECONDS = contract.limits.longestAnswerSeconds;

/** How long nginx keeps an idle connection to a worker. */
export const UPSTREAM_IDLE_SECONDS = contract.limits.upstreamIdleSeconds;

/** An error in OpenAI's format with its status and headers. The message of `tooLarge` contains `{bytes}`. */
export interface ApiError {
  status: number;
  type: string;
  code: string | null;
  message: string;
  headers: Record<string, string>;
}

/** The errors that nginx and the workers both return. */
export const ERRORS: Record<keyof typeof contract.errors, ApiError> = contract.errors;
