"""How much a worker holds at a time, and whose turn it is."""

import asyncio
from collections import OrderedDict, defaultdict, deque
from collections.abc import AsyncIterator, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from .errors import rate_limited, unavailable

SHARE = 0.75
"""Of what a worker holds, the most for one client: the rest is always there for the others."""


@dataclass
class Reservation:
    """A request's place, and the memory set aside for it in bytes."""

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
        mine = self._clients.get(client, Held())
        if requests > 0 or size > 0:
            if self._all.requests + requests > self.requests or self._all.size + size > self.size:
                raise unavailable("The server has more work than it can take. Try again.")
            if mine.requests + requests > max(1, SHARE * self.requests) or mine.size + size > SHARE * self.size:
                raise rate_limited("This client has too many requests in progress. Try again when some have ended.")
        self._add(client, requests, size)

    def _add(self, client: str, requests: int, size: int) -> None:
        for held in (self._all, self._clients[client]):
            held.requests += requests
            held.size += size
        if not self._clients[client].requests:
            del self._clients[client]


class FairQueue:
    """
    Lets passes into the engine in turn: by client, then by request, each pass in order. A client's bulk never makes
    another client wait for more than what is already in the engine, nor its own small requests.
    """

    def __init__(self, capacity: int) -> None:
        """capacity: cost of the passes that are in the engine at a time."""
        self._free = self._capacity = capacity
        self._waiting: OrderedDict[str, OrderedDict[Hashable, deque[tuple[int, asyncio.Future[None]]]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, client: str, request: Hashable, cost: int) -> AsyncIterator[None]:
        cost = min(cost, self._capacity)
        entered = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, OrderedDict()).setdefault(request, deque()).append((cost, entered))
        self._advance()
        try:
            await entered
        except asyncio.CancelledError:
            if entered.cancelled():
                self._advance()
            else:
                self._leave(cost)
            raise
        try:
            yield
        finally:
            self._leave(cost)

    def _leave(self, cost: int) -> None:
        self._free += cost
        self._advance()

    def _advance(self) -> None:
        while self._waiting:
            client, requests = next(iter(self._waiting.items()))
            request, passes = next(iter(requests.items()))
            cost, entered = passes[0]
            if not entered.cancelled():
                if cost > self._free:
                    return
                self._free -= cost
                entered.set_result(None)
            passes.popleft()
            requests.move_to_end(request)
            self._waiting.move_to_end(client)
            if not passes:
                del requests[request]
            if not requests:
                del self._waiting[client]
