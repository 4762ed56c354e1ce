"""Threads that clients share."""

import asyncio
import gc
import threading
import time
import weakref

import pytest

from qwen3.worker.admission import Admission, Reservation
from qwen3.worker.errors import ApiError
from qwen3.worker.exchange import Exchange, Received, Sent
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


def test_the_error_of_a_cancelled_call_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    going = threading.Event()

    def refuse() -> None:
        going.wait(10)
        raise ApiError(400, "refused")

    async def run() -> None:
        with Admission(8, 0).admit("a", 0) as reservation:
            call = asyncio.create_task(FairThreads(1).run(reservation, refuse))
            await asyncio.sleep(0.05)
            call.cancel()
            await asyncio.sleep(0)
            going.set()
            with pytest.raises(asyncio.CancelledError):
                await call

    asyncio.run(run())
    gc.collect()
    assert caplog.records == []


def test_errors_are_raised() -> None:
    async def run() -> None:
        with Admission(8, 0).admit("a", 0) as reservation:
            await FairThreads(1).run(reservation, int, "x")

    with pytest.raises(ValueError, match="invalid literal"):
        asyncio.run(run())


class Large:
    """Stands for a body or a text: what must not outlive its request."""


def test_an_error_keeps_nothing_of_its_call() -> None:
    """Without garbage collection, which may come much later: a future in its own error's traceback would keep it."""
    references: list[weakref.ref[Large]] = []

    def refuse(_large: Large) -> None:
        raise ApiError(400, "refused")

    async def work(threads: FairThreads, reservation: Reservation) -> None:
        large = Large()
        references.append(weakref.ref(large))
        await threads.run(reservation, refuse, large)

    async def receive() -> Received:
        await asyncio.Event().wait()
        return {}

    async def send(_sent: Sent) -> None:
        pass

    async def run() -> None:
        exchange = Exchange({"method": "POST", "raw_path": b"/", "headers": []}, receive, send)
        threads = FairThreads(1)
        with Admission(8, 0).admit("a", 0) as reservation:
            with pytest.raises(ApiError):
                await exchange.while_connected(work(threads, reservation))
            # Until the thread and the loop have let go of it.
            await threads.run(reservation, int)
            await asyncio.sleep(0)

    gc.disable()
    try:
        asyncio.run(run())
        assert references[0]() is None
    finally:
        gc.enable()
