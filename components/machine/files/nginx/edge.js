// Who is asking: looks the SHA-256 of the bearer token up among the digests that qwen3-keys keeps on tmpfs.
// njs of Debian 12 (0.7.9) and Ubuntu 24.04 (0.8).
import crypto from 'crypto';
import fs from 'fs';

const KEYS = '/run/qwen3/keys';

// The scheme's name is case-insensitive (RFC 9110, section 11.1); a token is printable ASCII without spaces.
const BEARER = /^[Bb][Ee][Aa][Rr][Ee][Rr] +([\x21-\x7e]{1,512})$/;

/** Value of $qwen3_access: "ok:CLIENT", "missing", "invalid", or "loading" before the first digests are there. */
function access(r) {
    const header = r.headersIn.Authorization;
    if (!header) {
        return 'missing';
    }
    const match = BEARER.exec(header);
    if (!match) {
        return refused();
    }
    const digest = crypto.createHash('sha256').update(match[1]).digest('hex');
    let entry;
    try {
        entry = JSON.parse(fs.readFileSync(KEYS + '/edge/' + digest, 'utf8'));
    } catch (e) {
        return refused();
    }
    if (entry.notAfter !== null && !(Date.now() / 1000 < entry.notAfter)) {
        return 'invalid';
    }
    return 'ok:' + entry.client;
}

function refused() {
    try {
        fs.accessSync(KEYS + '/loaded');
        return 'invalid';
    } catch (e) {
        return 'loading';
    }
}

export default { access };
