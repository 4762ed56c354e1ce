"""Threads that clients share."""

import asyncio
import threading
import time

import pytest

from qwen3.worker.admission import Admission
from qwen3.worker.threads import FairThreads


def test_clients_alternate() -> None:
    """A client's second call does not wait for all calls that another client has sent before."""
    order: list[str] = []
    admission = Admission(8, 0)

    async def run() -> None:
        threads = FairThreads(1)
        with admission.admit("a", 0) as first, admission.admit("b", 0) as second:
            calls = [threads.run(first, order.append, "a") for _ in range(50)]
            calls += [threads.run(second, order.append, "b") for _ in range(2)]
            await asyncio.gather(*calls)

    asyncio.run(run())
    assert order[:5] == ["a", "a", "b", "a", "b"]


def test_a_cancelled_call_keeps_its_thread_until_it_ends() -> None:
    going = threading.Event()
    ended: list[float] = []

    def work() -> None:
        going.wait(10)
        ended.append(time.monotonic())

    async def run() -> None:
        threads = FairThreads(1)
        with Admission(8, 0).admit("a", 0) as reservation:
            call = asyncio.create_task(threads.run(reservation, work))
            await asyncio.sleep(0.05)
            call.cancel()
            await asyncio.sleep(0.05)
            assert not call.done()
            going.set()
            with pytest.raises(asyncio.CancelledError):
                await call
        assert ended

    asyncio.run(run())


def test_errors_are_raised() -> None:
    async def run() -> None:
        with Admission(8, 0).admit("a", 0) as reservation:
            await FairThreads(1).run(reservation, int, "x")

    with pytest.raises(ValueError, match="invalid literal"):
        asyncio.run(run())
