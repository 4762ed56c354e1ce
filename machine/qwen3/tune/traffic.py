"""The child process: one engine, and the requests with which it is measured."""

import asyncio
import json
import signal
import statistics
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..settings import Settings
from .figures import Figures

if TYPE_CHECKING:
    from ..worker.engine import Engine

START_SECONDS = 900
"""For one engine to load the weights and, the first time, to compile its kernels."""
ROUNDS = 3
"""Per kind of traffic. The median is used."""


def measure_one(settings: Settings, given: dict[str, Any], seconds: float) -> None:
    """Creates an engine, prints `ready`, waits for a line, prints its figures.

    given: arguments of Engine, from JSON
    """
    from ..worker.engine import Engine

    signal.alarm(START_SECONDS)
    engine = Engine(settings, **given)
    traffic = Traffic(engine, settings, seconds)
    engine.loop.run_until_complete(traffic.warm_up())
    engine.loop.run_until_complete(engine.settle())
    signal.alarm(0)
    print("ready", flush=True)
    if not sys.stdin.readline():
        return  # the parent has ended
    print(json.dumps(engine.loop.run_until_complete(traffic.run())), flush=True)
    engine.shutdown()


class Traffic:
    """Texts of random tokens, all different, for one engine."""

    def __init__(self, engine: "Engine", settings: Settings, seconds: float) -> None:
        import numpy as np

        self._engine = engine
        self._seconds = seconds
        self._random = np.random.default_rng(0)
        self._longest = settings.context_length
        # A CPU takes minutes for what a GPU does in a second.
        self._batch = 8 if settings.accelerator == "cpu" else 128
        self._requests = 0

    async def warm_up(self) -> None:
        for lengths in ([32], [32] * self._batch, self._mixed(), [512] * self._batch):
            await self.ask("warm-up", lengths)

    async def run(self) -> Figures:
        """Kinds of traffic alternate, so that a drift of the hardware affects all equally."""
        figures: Figures = {"bulk": [], "mixed": [], "short": [], "single": []}
        for _ in range(ROUNDS):
            figures["bulk"].append(await self._rate(2, lambda: [512] * self._batch))
            figures["mixed"].append(await self._rate(2, self._mixed))
            figures["short"].append(await self._rate(8, lambda: [32] * self._batch))
            figures["single"].append(await self._latency())
        return figures

    def _mixed(self) -> list[int]:
        """Lengths of a batch's texts: log-normal, with a mean of 367 tokens before the bounds."""
        lengths = self._random.lognormal(5.5, 0.9, self._batch).clip(16, min(2048, self._longest))
        return [int(length) for length in lengths]

    async def _rate(self, clients: int, lengths: Callable[[], list[int]]) -> float:
        """Tokens per second."""
        begin = time.monotonic()

        async def client(number: int) -> int:
            tokens = 0
            while time.monotonic() - begin < self._seconds:
                tokens += await self.ask(f"client-{number}", lengths())
            return tokens

        tokens = sum(await asyncio.gather(*map(client, range(clients))))
        return tokens / (time.monotonic() - begin)

    async def _latency(self) -> float:
        """Milliseconds of the median request."""
        times: list[float] = []
        end = time.monotonic() + self._seconds
        while time.monotonic() < end:
            begin = time.monotonic()
            await self.ask("client", [32])
            times.append(1000 * (time.monotonic() - begin))
        return statistics.median(times)

    async def ask(self, client: str, lengths: list[int]) -> int:
        """Sends one request of texts of these lengths in tokens. Returns their sum."""
        items = [self._random.integers(0, self._engine.vocabulary, length, dtype="int32") for length in lengths]
        self._requests += 1
        await self._engine.embed(client, items, self._requests)
        return sum(lengths)
