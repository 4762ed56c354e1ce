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
  try {
    if (!exists(KEYS + "/edge/" + digest)) {
      return exists(KEYS + "/loaded") ? "invalid" : "loading";
    }
  } catch (_e) {
    return "loading";
  }
  // The workers' copy says the same: one file that is not whole refuses nobody, until qwen3-keys puts it right.
  const entry = read("edge", digest) || read("door", digest);
  if (!entry) {
    return "loading";
  }
  const honoured = entry.notAfter === null || Date.now() / 1000 < entry.notAfter;
  return honoured ? "ok:" + entry.client : "invalid";
}

/** The entry in one of the two folders; null where it is not whole or may not be read. */
function read(folder, digest) {
  try {
    const entry = JSON.parse(fs.readFileSync(KEYS + "/" + folder + "/" + digest, "utf8"));
    return typeof entry.client === "string" && entry.notAfter !== undefined ? entry : null;
  } catch (_e) {
    return null;
  }
}

/** Without an exception for a file that is not there: njs takes half a millisecond to make one. */
function exists(path) {
  return fs.statSync(path, { throwIfNoEntry: false }) !== undefined;
}

export default { access };
