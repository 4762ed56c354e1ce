"""The order in which clients' work enters the engine, a thread or the event loop."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class FairQueue:
    """Lets passes into the engine, alternating between clients, and between the requests of one client.

    A client's bulk makes other clients and its own small requests wait only for what is in the engine.
    """

    def __init__(self, capacity: int) -> None:
        """capacity: total cost of the passes that are in the engine at a time."""
        self._free = self._capacity = capacity
        self._waiting: OrderedDict[str, OrderedDict[Hashable, deque[tuple[int, asyncio.Future[None]]]]] = OrderedDict()

    @asynccontextmanager
    async def enter(self, client: str, request: Hashable, cost: int) -> AsyncIterator[None]:
        """Waits, and holds a part of the capacity while the block runs. A pass that costs more than all runs alone."""
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
