"""Returns free memory to the system after large requests.

glibc returns only what is free at the end of its heaps. After a burst, a few small blocks in use would keep hundreds of
megabytes around them.
"""

import asyncio
import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

from .admission import Reservation

TRIM_BYTES = 1 << 26
"""Reservations that end before memory is returned. Small requests reuse what they free."""
TRIM_SECONDS = 1.0
"""Minimum time between two calls. To return 450 MiB takes 60 ms of a thread's processor time; others continue."""


class FreeMemory:
    """Counts the reservations of requests that have ended."""

    def __init__(self) -> None:
        # Only glibc has it; with another C library, the allocator decides by itself.
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._ended = 0
        self._returning: asyncio.Task[None] | None = None

    @contextmanager
    def after(self, reservation: Reservation) -> Iterator[None]:
        """Returns the memory of the block, which has this reservation, within seconds after its end."""
        try:
            yield
        finally:
            self._ended += reservation.peak
            self._return_soon()

    def _return_soon(self) -> None:
        if self._ended >= TRIM_BYTES and self._returning is None and self._trim is not None:
            self._returning = asyncio.get_running_loop().create_task(self._return())

    async def _return(self) -> None:
        await asyncio.sleep(TRIM_SECONDS)
        self._ended = 0
        # Releases the GIL while it runs.
        await asyncio.to_thread(self._trim, 0)  # type: ignore[arg-type]
        self._returning = None
