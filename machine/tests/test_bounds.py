"""Memory and time of a worker are bounded by what admission has reserved, whatever one client sends."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from attacks import ATTACKS, MEBIBYTE, Attacker, second_client
from observer import Observed
from worker_client import Client

CONSTANT = 192 * MEBIBYTE
"""Memory of a worker that is not reserved, as in docs/reference/faults.md."""
FACTOR = 1.1
WAIT_SECONDS = 1.0
"""By which the second client may wait longer than alone."""
HELD_SECONDS = 0.1
"""Processor time for which the event loop may be held."""
SECONDS = 4.0
LENGTH = 5000
"""Characters of the second client's text: too many to be tokenized in the event loop."""


class ObservedWorker(Client):
    def __init__(self, folder: Path, model: Path) -> None:
        command = [sys.executable, str(Path(__file__).with_name("observed_worker.py")), str(folder), str(model)]
        path = ":".join(map(str, (Path(__file__).parents[1], Path(__file__).parent)))
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        )
        assert self._process.stdout
        self._log = self._process.stdout
        super().__init__(int(self._log.readline()))
        self.observed = Observed(self._process.pid, folder / f"{self._process.pid}.figures")

    def end(self) -> None:
        self._process.communicate(timeout=60)


@pytest.fixture
def attacked(tmp_path: Path, model: Path) -> Iterator[ObservedWorker]:
    worker = ObservedWorker(tmp_path, model)
    yield worker
    worker.end()


@pytest.mark.parametrize("name", ATTACKS)
def test_bounds(attacked: ObservedWorker, name: str) -> None:
    attack = ATTACKS[name]
    alone = second_client(attacked, 1, LENGTH)
    attacker = Attacker(attacked, attack)
    attacked.observed.begin()
    with attacker.running():
        beside = second_client(attacked, SECONDS, LENGTH)
    grown = attacked.observed.grown
    reserved, held = attacked.observed.peaks()
    time.sleep(2)
    kept = attacked.observed.kept
    print(
        f"{name}: grown {grown / MEBIBYTE:.0f} MiB, reserved {reserved / MEBIBYTE:.0f} MiB, kept {kept / MEBIBYTE:.0f} MiB, "
        f"second client {max(beside):.2f} s ({max(alone):.2f} s alone), loop held {1000 * held:.0f} ms, {dict(attacker.statuses)}"
    )
    assert set(attacker.statuses) <= attack.statuses
    assert grown <= FACTOR * reserved + CONSTANT
    assert kept <= CONSTANT
    assert max(beside) <= max(alone) + WAIT_SECONDS
    assert held <= HELD_SECONDS
