"""Authentication: looks up the SHA-256 of a request's bearer token among the digests on tmpfs, as nginx does."""

import logging
import re
import time
from collections.abc import Iterable
from pathlib import Path

from ..contract import DIGESTS, INVALID_KEY, LOADED, LONGEST_KEY, MISSING_KEY, TOKEN, UNAVAILABLE
from ..digests import digest, parse_entry
from .errors import api_error

log = logging.getLogger(__name__)

BEARER = re.compile(rb"(?i:bearer) +(%b)" % TOKEN.encode())


class Authenticator:
    """Checks keys against the files below one folder."""

    def __init__(self, keys: Path) -> None:
        self._digests = keys / DIGESTS
        self._loaded = keys / LOADED
        self._reported: set[str] = set()

    def client_of(self, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """The name of the client whose key is in the headers.

        Raises ApiError: 401 for a missing or wrong key, 503 while the key cannot be checked.
        """
        values = [value for name, value in headers if name == b"authorization"]
        if not values or values == [b""]:
            raise api_error(MISSING_KEY)
        match = BEARER.fullmatch(values[0]) if len(values) == 1 else None
        if match is None or len(match[1]) > LONGEST_KEY:
            raise api_error(INVALID_KEY)
        return self._look_up(digest(match[1]))

    def _look_up(self, name: str) -> str:
        try:
            entry = parse_entry((self._digests / name).read_bytes())
        except FileNotFoundError:
            raise api_error(INVALID_KEY if self._loaded.exists() else UNAVAILABLE) from None
        except (OSError, ValueError) as error:
            self._report(name, error)
            raise api_error(UNAVAILABLE) from None
        if not entry.valid_at_worker(time.time()):
            raise api_error(INVALID_KEY)
        return entry.client

    def _report(self, name: str, error: Exception) -> None:
        """Logs an incomplete file, once."""
        if name not in self._reported:
            self._reported.add(name)
            log.error("%s cannot be read: %s", self._digests / name, error)
