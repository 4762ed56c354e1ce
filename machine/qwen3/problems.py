"""Current problems with reading or writing, for the journal."""

import logging
import time

log = logging.getLogger("qwen3-keys")

REMIND_SECONDS = 600.0


class Problems:
    """Logs a line when a problem begins, changes or ends, and every ten minutes."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[str, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    def begin(self, about: str, message: str) -> None:
        known, logged = self._open.get(about, ("", 0.0))
        if known != message or time.monotonic() - logged >= REMIND_SECONDS:
            log.warning("%s: %s", about, message)
            logged = time.monotonic()
        self._open[about] = (message, logged)

    def end(self, about: str) -> None:
        if self._open.pop(about, None) is not None:
            log.warning("%s: resolved", about)

    def keep_clients(self, clients: set[str]) -> None:
        """Removes the problems of clients that are no longer in the index."""
        for about in list(self._open):
            if about.startswith("client ") and about.split()[1] not in clients:
                del self._open[about]
