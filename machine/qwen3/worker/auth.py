"""Who is asking: looks the SHA-256 of the bearer token up among the digests on tmpfs, as nginx has done before."""

import hashlib
import json
import logging
import re
import time
from collections.abc import Iterable
from pathlib import Path

from ..digests import DOOR_LINGERS_SECONDS
from .errors import ApiError, unavailable

log = logging.getLogger(__name__)

BEARER = re.compile(rb"(?i:bearer) +([\x21-\x7e]{1,512})")
REALM = 'Bearer realm="qwen3-embedding"'


class Authenticator:
    """Answers the client's name for a request's Authorization header."""

    def __init__(self, keys: Path) -> None:
        # nginx's copy says the same: one file that is not whole, or lost, refuses nobody, until qwen3-keys puts it right.
        self._copies = keys / "door", keys / "edge"
        self._loaded = keys / "loaded"
        self._complained: set[Path] = set()

    def client(self, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """Raises ApiError: 401 for a missing or wrong key, 503 while nobody can know."""
        values = [value for name, value in headers if name == b"authorization"]
        if not values or values == [b""]:
            message = "You did not provide an API key. Send it as Authorization: Bearer KEY."
            raise ApiError(401, message, headers={"WWW-Authenticate": REALM})
        match = BEARER.fullmatch(values[0]) if len(values) == 1 else None
        client = self._lookup(hashlib.sha256(match[1]).hexdigest()) if match else None
        if client is not None:
            return client
        if not self._loaded.exists():
            raise unavailable("The API keys are not loaded yet. Try again.", 2)
        challenge = {"WWW-Authenticate": f'{REALM}, error="invalid_token"'}
        raise ApiError(401, "The API key is not valid.", code="invalid_api_key", headers=challenge)

    def _lookup(self, digest: str) -> str | None:
        broken = False
        for folder in self._copies:
            try:
                entry = json.loads((folder / digest).read_bytes())
                client, end = str(entry["client"]), entry["notAfter"]
                # Longer than at the edge: what nginx has just let in is let in here.
                return client if end is None or time.time() < end + DOOR_LINGERS_SECONDS else None
            except FileNotFoundError:
                continue
            except (OSError, ValueError, KeyError, TypeError) as error:
                broken = True
                self._complain(folder / digest, error)
        if broken:
            raise unavailable("The API key cannot be checked at the moment. Try again.", 2)
        return None

    def _complain(self, path: Path, error: Exception) -> None:
        """Once a file, not once a request."""
        if path not in self._complained:
            self._complained.add(path)
            log.error("%s cannot be read: %s", path, error)
