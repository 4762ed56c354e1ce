"""Threads for work that would hold the event loop, shared fairly by clients."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from typing import ParamSpec, TypeVar

from .admission import Reservation
from .fair_queue import FairQueue

P = ParamSpec("P")
T = TypeVar("T")


class FairThreads:
    """Runs calls in threads, alternating between clients, and between the requests of one client."""

    def __init__(self, count: int) -> None:
        self._queue = FairQueue(count)
        self._pool = ThreadPoolExecutor(count)

    async def run(self, reservation: Reservation, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The call's result, when it is this request's turn."""
        async with self.turn(reservation):
            return await self.call(call, *args, **kwargs)

    def turn(self, reservation: Reservation) -> AbstractAsyncContextManager[None]:
        """Waits for one of the threads, and holds it while the block runs."""
        return self._queue.enter(reservation.client, reservation, 1)

    async def call(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The call's result. If cancelled, it still waits for the end of the call, which uses memory until then."""
        running = asyncio.wrap_future(self._pool.submit(call, *args, **kwargs))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            # Otherwise asyncio would log its error, which nobody receives.
            running.exception()
            raise
        finally:
            # An error's traceback contains this frame: with the future in it, arguments would remain until the next
            # garbage collection.
            del running
