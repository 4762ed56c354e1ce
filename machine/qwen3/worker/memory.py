"""Returns free memory to the system after large requests.

glibc returns only what is free at the end of its heaps. After a burst, a few small blocks in use would keep hundreds of
megabytes around them.
"""

import asyncio
import ctypes
from collections.abc import Callable, Iterator
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
        self._trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._ended = 0
        self._returning = False

    @contextmanager
    def after(self, reservation: Reservation) -> Iterator[None]:
        """Returns the memory of the block, which has this reservation, within seconds after its end."""
        try:
            yield
        finally:
            self._ended += reservation.peak
            self._return_soon()

    def _return_soon(self) -> None:
        if self._ended >= TRIM_BYTES and not self._returning and self._trim is not None:
            self._returning = True
            asyncio.get_running_loop().call_later(TRIM_SECONDS, self._return, self._trim)

    def _return(self, trim: Callable[[int], int]) -> None:
        self._ended = 0
        # In a thread; the call releases the GIL.
        trimming = asyncio.get_running_loop().run_in_executor(None, trim, 0)
        trimming.add_done_callback(self._returned)

    def _returned(self, _trimmed: asyncio.Future[int]) -> None:
        self._returning = False
        # For requests that ended meanwhile.
        self._return_soon()
