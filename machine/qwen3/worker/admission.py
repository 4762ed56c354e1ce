"""How much a worker holds at a time: requests, and memory for them."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .errors import overloaded, rate_limited

SHARE = 0.75
"""Maximum share of a worker that one client may hold. The rest is always available to the others."""


@dataclass(eq=False)
class Reservation:
    """A request's place, and the memory reserved for it in bytes."""

    _admission: "Admission"
    client: str
    size: int = 0
    peak: int = 0
    """Maximum of `size` so far."""

    def resize(self, size: int) -> None:
        """Raises ApiError if there is no room for more."""
        self._admission.hold(self.client, 0, size - self.size)
        self.size = size
        self.peak = max(self.peak, size)

    @contextmanager
    def extra(self, size: int) -> Iterator[None]:
        """Reserves more memory while the block runs. Raises ApiError if there is no room."""
        self.resize(self.size + size)
        try:
            yield
        finally:
            self.resize(self.size - size)


@dataclass
class Held:
    requests: int = 0
    size: int = 0


@dataclass
class Admission:
    """Limits requests and memory, for all clients together and for each client. Requests above a limit are rejected."""

    requests: int
    """Maximum number at a time."""
    size: int
    """Maximum memory in bytes."""
    _all: Held = field(default_factory=Held)
    _clients: defaultdict[str, Held] = field(default_factory=lambda: defaultdict(Held))

    @contextmanager
    def admit(self, client: str, size: int) -> Iterator[Reservation]:
        """Holds a place while the block runs. Raises ApiError, 429 or 503, if there is none."""
        self.hold(client, 1, size)
        reservation = Reservation(self, client, size, size)
        try:
            yield reservation
        finally:
            self._add(client, -1, -reservation.size)

    def hold(self, client: str, requests: int, size: int) -> None:
        """Counts more requests and bytes. Raises ApiError, 429 or 503, if there is no room."""
        mine = self._clients.get(client, Held())
        if requests > 0 or size > 0:
            if self._all.requests + requests > self.requests or self._all.size + size > self.size:
                raise overloaded("The server has more work than it can accept. Try again.")
            if mine.requests + requests > max(1, SHARE * self.requests) or mine.size + size > SHARE * self.size:
                raise rate_limited("This client has too many requests in progress. Try again when some have completed.")
        self._add(client, requests, size)

    def _add(self, client: str, requests: int, size: int) -> None:
        for held in (self._all, self._clients[client]):
            held.requests += requests
            held.size += size
        if not self._clients[client].requests:
            del self._clients[client]
