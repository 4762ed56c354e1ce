// Authentication: looks up the SHA-256 of a request's bearer token among the digests that qwen3-keys keeps on tmpfs.
// For njs 0.7.9 (Debian 12) and 0.8 (Ubuntu 24.04). It reads one small file per request and caches nothing: a key is
// valid, and expires, with its file.

import contract from "contract.js";
import crypto from "crypto";
import fs from "fs";

// The scheme's name is case-insensitive (RFC 9110, section 11.1).
const BEARER = new RegExp("^[Bb][Ee][Aa][Rr][Ee][Rr] +(" + contract.token + ")$");
const CLIENT_NAME = new RegExp("^" + contract.clientName);

/** Value of $qwen3_access: "ok:CLIENT", "missing", "invalid", or "unavailable" while the key cannot be checked. */
function access(r) {
  // The same value that the worker gets.
  const header = r.variables.http_authorization;
  if (!header) {
    return "missing";
  }
  const match = BEARER.exec(header);
  if (!match || match[1].length > contract.longestKey) {
    return "invalid";
  }
  return lookUp(crypto.createHash("sha256").update(match[1]).digest("hex"));
}

function lookUp(digest) {
  const path = contract.digests + "/" + digest;
  try {
    if (!exists(path)) {
      return exists(contract.loaded) ? "invalid" : "unavailable";
    }
    const entry = JSON.parse(fs.readFileSync(path, "utf8"));
    if (!isWhole(entry)) {
      return "unavailable";
    }
    const valid = entry.notAfter === null || Date.now() / 1000 < entry.notAfter;
    return valid ? "ok:" + entry.client : "invalid";
  } catch (_e) {
    // Not JSON, or removed since it was found.
    return "unavailable";
  }
}

function isWhole(entry) {
  const end = entry.notAfter;
  return isClientName(entry.client) && (end === null || Number.isFinite(end));
}

function isClientName(value) {
  // The match is compared with the value, because in njs `$` also matches before a line break at the end.
  const match = typeof value === "string" ? CLIENT_NAME.exec(value) : null;
  return match !== null && match[0] === value;
}

/** Throws no exception for a missing file, which takes njs half a millisecond. */
function exists(path) {
  return fs.statSync(path, { throwIfNoEntry: false }) !== undefined;
}

export default { access };
