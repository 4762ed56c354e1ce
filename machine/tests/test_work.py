"""What a worker counts of its engine's work."""

import asyncio
import json
from collections.abc import Hashable, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

from qwen3.contract import WORK
from qwen3.worker import server
from qwen3.worker.engine import ENGINE_COST, Engine
from qwen3.worker.fair_queue import FairQueue
from qwen3.worker.items import Tokens
from qwen3.worker.response import Vectors
from qwen3.worker.work import Work


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_counts_the_tokens_that_were_computed_and_the_time_that_others_waited() -> None:
    clock = Clock()
    work = Work(100, clock)
    with work.wait(40):
        clock.now += 2
        with work.compute(60):
            clock.now += 1
    assert (work.waiting, work.computing, work.done) == (0, 0, 60)
    snapshot = work.snapshot(5.0)
    assert snapshot == {
        "started": 100.0,
        "at": 103.0,
        "done": 60,
        "waiting_seconds": 120.0,
        "saturated_seconds": 3.0,
        "saturated_done": 60,
        "pace": 5.0,
    }


def test_an_engine_that_is_three_quarters_full_is_saturated_though_nothing_waits() -> None:
    clock = Clock()
    work = Work(100, clock)
    with work.compute(74):
        clock.now += 1
        with work.compute(1):
            clock.now += 1
    assert (work.saturated_seconds, work.saturated_done) == (1.0, 1)
    clock.now += 10
    assert work.snapshot(0)["saturated_seconds"] == 1.0


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
def test_what_failed_or_was_cancelled_is_not_done(error: type[BaseException]) -> None:
    work = Work(100)
    with pytest.raises(error), work.wait(10), work.compute(10):
        raise error
    assert (work.waiting, work.computing, work.done) == (0, 0, 0)


def test_a_cancelled_wait_is_not_counted_any_longer() -> None:
    work = Work(10)
    queue = FairQueue(10)

    async def enter(cost: int) -> None:
        with work.wait(cost):
            await queue.enter("a", "1", cost).__aenter__()

    async def run() -> None:
        async with queue.enter("b", "1", 10):
            waiting = [asyncio.create_task(enter(7)) for _ in range(2)]
            await asyncio.sleep(0)
            assert work.waiting == 14
            waiting[0].cancel()
            await asyncio.gather(waiting[0], return_exceptions=True)
            assert work.waiting == 7
        await waiting[1]

    asyncio.run(run())
    assert work.waiting == 0


def test_costs_the_event_loop_little() -> None:
    """A pass takes milliseconds at least; the counting must take less than a tenth of one."""
    work = Work(16_384)
    begin = perf_counter()
    for _ in range(10_000):
        with work.wait(4096), work.compute(4096):
            pass
    assert (perf_counter() - begin) / 10_000 < 1e-4


class PacedEngine(Engine):
    """Computes a number of tokens per second by a clock of its own, after a first round that compiles kernels."""

    def __init__(self, pace: float, first_round: float) -> None:
        self._engine_cost = ENGINE_COST
        self.work = Work(ENGINE_COST)
        self.clock = Clock()
        self.rounds: list[int] = []
        self._pace, self._first_round = pace, first_round

    async def embed(self, _client: str, items: Sequence[Tokens], _request: Hashable) -> Vectors:
        tokens = sum(map(len, items))
        self.rounds.append(tokens)
        self.clock.now += tokens / self._pace if self.rounds[1:] else self._first_round
        return np.empty((len(items), 1), dtype=np.float32)


TEXT = np.ones(512, dtype=np.int32)


def test_measures_what_the_engine_can_do_with_as_much_as_it_holds() -> None:
    engine = PacedEngine(30_000, first_round=2.0)
    assert asyncio.run(engine.pace(TEXT, clock=engine.clock)) == pytest.approx(30_000)
    assert engine.rounds[-1] == 2 * ENGINE_COST


def test_takes_no_long_time_to_measure_a_slow_engine() -> None:
    engine = PacedEngine(100, first_round=5.2)
    assert asyncio.run(engine.pace(TEXT, clock=engine.clock)) == pytest.approx(512 / 5.2)
    assert engine.rounds == [512]


def test_only_an_instance_of_a_fleet_measures_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = PacedEngine(30_000, first_round=0.1)
    settings = type("Settings", (), {"context_length": 64})()
    monkeypatch.delenv("QWEN3_AUTO_SCALING_GROUP", raising=False)
    assert asyncio.run(server.measure_pace(engine, TEXT[:3], settings)) == 0
    assert engine.rounds == []
    monkeypatch.setenv("QWEN3_AUTO_SCALING_GROUP", "group")
    assert asyncio.run(server.measure_pace(engine, TEXT[:3], settings)) > 0
    # Not longer than the context.
    assert engine.rounds[0] == 64


def test_writes_its_work_where_every_user_can_read_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engine = PacedEngine(30_000, first_round=0.1)

    async def write_once() -> None:
        writing = asyncio.create_task(server.write_work(engine, 5.0))
        await asyncio.sleep(0.01)
        writing.cancel()

    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    asyncio.run(write_once())
    written = tmp_path / WORK
    assert json.loads(written.read_text())["pace"] == 5.0
    assert written.stat().st_mode & 0o777 == 0o644
    # Without a unit there is nowhere to write.
    monkeypatch.delenv("RUNTIME_DIRECTORY")
    asyncio.run(server.write_work(engine, 5.0))


def test_serves_although_its_work_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = PacedEngine(30_000, first_round=0.1)
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/nowhere")

    async def write() -> None:
        async with asyncio.timeout(0.05):
            await server.write_work(engine, 5.0)

    with pytest.raises(TimeoutError):
        asyncio.run(write())
    assert "work.json: not written" in caplog.text
