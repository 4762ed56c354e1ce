"""Who is asking: the worker's own check of the key, behind nginx's."""

import hashlib
import json
import re
import time
from pathlib import Path

from .errors import ApiError, unavailable

LINGER_SECONDS = 10.0
"""As qwen3.digests: the door takes a key a little longer than nginx does."""

# As in nginx/edge.js.
BEARER = re.compile(rb"bearer +([\x21-\x7e]{1,512})", re.IGNORECASE)


class Door:
    """Looks a token's SHA-256 up among the digests that qwen3-keys keeps, one file each."""

    def __init__(self, keys: Path) -> None:
        self._digests = keys / "door"
        self._loaded = keys / "loaded"

    def client(self, authorization: bytes | None) -> str:
        """The client whose key the header carries. Raises ApiError 401, or 503 before the first keys are there."""
        if not authorization:
            raise self._refusal("You did not provide an API key. Send it as Authorization: Bearer KEY.", None)
        match = BEARER.fullmatch(authorization)
        entry = match and self._entry(hashlib.sha256(match[1]).hexdigest())
        if not entry:
            raise self._refusal("The API key is not valid.", "invalid_api_key")
        return entry["client"]

    def _entry(self, digest: str) -> dict | None:
        try:
            entry = json.loads((self._digests / digest).read_bytes())
            end = entry["notAfter"]
            return entry if end is None or time.time() < end + LINGER_SECONDS else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _refusal(self, message: str, code: str | None) -> ApiError:
        if not self._loaded.exists():
            return unavailable("The server does not know its API keys yet. Try again.")
        challenge = 'Bearer realm="qwen3-embedding"' + (', error="invalid_token"' if code else "")
        return ApiError(401, message, code=code, headers={"WWW-Authenticate": challenge})
