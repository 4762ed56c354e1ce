"""The order in which clients' work enters the engine."""

import asyncio
from collections.abc import Awaitable

from qwen3.worker.fair_queue import FairQueue


class Work:
    """Passes through a queue with a capacity of 10, and the order in which they entered."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.queue = FairQueue(10)

    async def enter(self, client: str, request: str, cost: int = 10) -> None:
        async with self.queue.enter(client, request, cost):
            self.order.append(client + request)
            await asyncio.sleep(0.001)


async def gather(*work: Awaitable[None]) -> None:
    await asyncio.gather(*work)


def test_clients_and_their_requests_alternate() -> None:
    work = Work()
    passes = [work.enter("a", "1") for _ in range(6)]
    passes += [work.enter("a", "2"), *(work.enter("b", "1") for _ in range(2))]
    asyncio.run(gather(*passes))
    assert work.order[:5] == ["a1", "a1", "b1", "a2", "b1"]
    assert work.order[5:] == ["a1"] * 4


def test_cancelled_work_releases_its_place() -> None:
    work = Work()

    async def run() -> None:
        running = asyncio.create_task(work.enter("a", "1"))
        waiting = [asyncio.create_task(work.enter("a", "2")) for _ in range(3)]
        await asyncio.sleep(0)
        for task in [running, *waiting[:2]]:
            task.cancel()
        await asyncio.gather(running, *waiting, return_exceptions=True)
        async with asyncio.timeout(1):
            await work.enter("c", "1")

    asyncio.run(run())
    assert (work.order[-1], work.queue._free, len(work.queue._waiting)) == ("c1", 10, 0)


def test_more_than_the_capacity_runs_alone() -> None:
    work = Work()
    asyncio.run(gather(work.enter("a", "1", 50), work.enter("b", "1", 1)))
    assert work.order == ["a1", "b1"]
