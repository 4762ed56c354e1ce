"""How much a worker holds at a time: requests, and memory for them."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .errors import overloaded, rate_limited

SHARE = 0.75
"""The most that one client may hold of a worker: the rest is always there for the others."""


@dataclass
class Reservation:
    """A request's place, and the memory reserved for it in bytes."""

    _admission: "Admission"
    _client: str
    _size: int = 0

    def resize(self, size: int) -> None:
        """Raises ApiError where there is no room for more."""
        self._admission.hold(self._client, 0, size - self._size)
        self._size = size


@dataclass
class Held:
    requests: int = 0
    size: int = 0


@dataclass
class Admission:
    """Bounds requests and memory, for all clients together and for each one. What does not fit is refused at once."""

    requests: int
    """Most at a time."""
    size: int
    """Most memory in bytes."""
    _all: Held = field(default_factory=Held)
    _clients: defaultdict[str, Held] = field(default_factory=lambda: defaultdict(Held))

    @contextmanager
    def admit(self, client: str, size: int) -> Iterator[Reservation]:
        """Holds a place while the block runs. Raises ApiError, 429 or 503, where there is none."""
        self.hold(client, 1, size)
        reservation = Reservation(self, client, size)
        try:
            yield reservation
        finally:
            self._add(client, -1, -reservation._size)

    def hold(self, client: str, requests: int, size: int) -> None:
        """Count more requests and bytes. Raises ApiError, 429 or 503, where there is no room."""
        mine = self._clients.get(client, Held())
        if requests > 0 or size > 0:
            if self._all.requests + requests > self.requests or self._all.size + size > self.size:
                raise overloaded("The server has more work than it can take. Try again.")
            if mine.requests + requests > max(1, SHARE * self.requests) or mine.size + size > SHARE * self.size:
                raise rate_limited("This client has too many requests in progress. Try again when some have ended.")
        self._add(client, requests, size)

    def _add(self, client: str, requests: int, size: int) -> None:
        for held in (self._all, self._clients[client]):
            held.requests += requests
            held.size += size
        if not self._clients[client].requests:
            del self._clients[client]
