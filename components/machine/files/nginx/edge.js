// Who is asking: looks the SHA-256 of the bearer token up among the digests that qwen3-keys keeps on tmpfs.
// For njs 0.7.9 (Debian 12) and 0.8 (Ubuntu 24.04). One small file a request and no cache: a key counts, and ceases
// to, with its file.
import crypto from "crypto";
import fs from "fs";

const KEYS = "/run/qwen3/keys";

// The scheme's name is case-insensitive (RFC 9110, section 11.1); a token is printable ASCII without spaces.
const BEARER = /^[Bb][Ee][Aa][Rr][Ee][Rr] +([\x21-\x7e]{1,512})$/;

/** Value of $qwen3_access: "ok:CLIENT", "missing", "invalid", or "loading" while nobody can know. */
function access(r) {
  const header = r.headersIn.Authorization;
  if (!header) {
    return "missing";
  }
  const match = BEARER.exec(header);
  return match ? lookUp(crypto.createHash("sha256").update(match[1]).digest("hex")) : "invalid";
}

function lookUp(digest) {
  const path = KEYS + "/edge/" + digest;
  try {
    if (!exists(path)) {
      return exists(KEYS + "/loaded") ? "invalid" : "loading";
    }
    const entry = JSON.parse(fs.readFileSync(path, "utf8"));
    const honoured = entry.notAfter === null || Date.now() / 1000 < entry.notAfter;
    return honoured ? "ok:" + entry.client : "invalid";
  } catch (_e) {
    // Half a file, which qwen3-keys puts right at its next pass, or one that may not be read.
    return "loading";
  }
}

/** Without an exception for a file that is not there: njs takes half a millisecond to make one. */
function exists(path) {
  return fs.statSync(path, { throwIfNoEntry: false }) !== undefined;
}

export default { access };
