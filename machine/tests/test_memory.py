"""Memory that is free is returned to the system after large requests, and not after each small one."""

import asyncio
import threading
from unittest import mock

import pytest

from qwen3.worker import memory
from qwen3.worker.admission import Admission
from qwen3.worker.memory import TRIM_BYTES, FreeMemory


def trims(sizes: list[int]) -> int:
    """How often memory is returned after requests of these sizes, one after another and at the same time."""

    async def run() -> int:
        free, admission = FreeMemory(), Admission(4, 4 * TRIM_BYTES)
        free._trim = trim = mock.Mock()
        for size in sizes:
            with admission.admit("client", size) as reservation, free.after(reservation):
                reservation.resize(0)
        await asyncio.sleep(0.1)
        return trim.call_count

    with mock.patch.object(memory, "TRIM_SECONDS", 0.01):
        return asyncio.run(run())


def test_after_large_requests() -> None:
    assert trims([TRIM_BYTES]) == 1
    assert trims([TRIM_BYTES // 2, TRIM_BYTES // 2]) == 1


def test_once_for_many_requests() -> None:
    assert trims([TRIM_BYTES] * 20) == 1


def test_again_for_a_request_that_ends_meanwhile() -> None:
    async def run() -> None:
        free, admission, going = FreeMemory(), Admission(1, 2 * TRIM_BYTES), threading.Event()
        free._trim = trim = mock.Mock(side_effect=lambda _: going.wait(10))
        for _ in range(2):
            with admission.admit("client", TRIM_BYTES) as reservation, free.after(reservation):
                pass
            await asyncio.sleep(0.1)
        assert trim.call_count == 1
        going.set()
        await asyncio.sleep(0.1)
        assert trim.call_count == 2

    with mock.patch.object(memory, "TRIM_SECONDS", 0.01):
        asyncio.run(run())


def test_not_after_small_requests() -> None:
    assert trims([TRIM_BYTES // 100] * 99) == 0


def test_after_a_request_that_is_refused() -> None:
    async def run() -> None:
        free = FreeMemory()
        free._trim = trim = mock.Mock()
        with (
            pytest.raises(ValueError, match="refused"),
            Admission(1, 2 * TRIM_BYTES).admit("client", TRIM_BYTES) as reservation,
            free.after(reservation),
        ):
            raise ValueError("refused")
        await asyncio.sleep(0.1)
        trim.assert_called_once_with(0)

    with mock.patch.object(memory, "TRIM_SECONDS", 0.01):
        asyncio.run(run())
