"""Memory and time of a worker are bounded by what admission has reserved, whatever one client sends."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
from attacks import ATTACKS, MEBIBYTE, Attacker, second_client
from observer import Observed
from worker_client import Client

CONSTANT = 192 * MEBIBYTE
"""Memory of a worker that is not reserved, as in docs/reference/faults.md."""
KEPT = 128 * MEBIBYTE
"""Of it, what a worker keeps after a burst."""
FACTOR = 1.1
WAIT_SECONDS = 1.0
"""By which the second client may wait longer than alone, in half of its requests: other processes run here too."""
LONGEST_WAIT_SECONDS = 5.0
"""By which any of its requests may."""
HELD_SECONDS = 0.1
"""Processor time for which the event loop may be held."""
LENGTH = 5000
"""Characters of the second client's text: too many to be tokenized in the event loop."""


class ObservedWorker(Client):
    alone: float
    """Seconds that the second client waits without an attack, at most."""

    def __init__(self, folder: Path, model: Path) -> None:
        command = [sys.executable, str(Path(__file__).with_name("observed_worker.py")), str(folder), str(model)]
        path = ":".join(map(str, (Path(__file__).parents[1], Path(__file__).parent)))
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert self._process.stdout
        self._log = self._process.stdout
        super().__init__(int(self._log.readline()))
        self.observed = Observed(self._process.pid, folder / f"{self._process.pid}.figures")

    def end(self) -> None:
        self._process.communicate(timeout=60)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[ObservedWorker]:
    """One worker for all attacks: what one leaves behind, the next would find."""
    worker = ObservedWorker(tmp_path_factory.mktemp("attacked"), model)
    # Ends the first use of everything: threads, arrays, connections.
    second_client(worker, 0.5, LENGTH)
    worker.alone = max(second_client(worker, 0.5, LENGTH))
    worker.observed.begin()
    yield worker
    worker.end()


@pytest.mark.parametrize("name", ATTACKS)
def test_bounds(attacked: ObservedWorker, name: str) -> None:
    attack, observed = ATTACKS[name], attacked.observed
    attacker = Attacker(attacked.port, name)
    observed.reset_peaks()
    with attacker.running():
        beside = second_client(attacked, attack.seconds, LENGTH)
    grown, (reserved, held) = observed.grown, observed.peaks()
    kept = memory_kept(observed)
    waits = median(beside)
    print(
        f"{name}: grown {grown / MEBIBYTE:.0f} MiB, reserved {reserved / MEBIBYTE:.0f} MiB,",
        f"kept {kept / MEBIBYTE:.0f} MiB, second client {waits:.2f} s, at most {max(beside):.2f} s",
        f"({attacked.alone:.2f} s alone), loop held {1000 * held:.0f} ms, {dict(attacker.statuses)}",
    )
    assert set(attacker.statuses) <= attack.statuses
    assert grown <= FACTOR * reserved + CONSTANT
    assert kept <= KEPT
    assert waits <= attacked.alone + WAIT_SECONDS
    assert max(beside) <= attacked.alone + LONGEST_WAIT_SECONDS
    assert held <= HELD_SECONDS


def memory_kept(observed: Observed) -> int:
    """Once it is within the bound, or after some seconds: the worker returns memory a second after a request."""
    end = time.monotonic() + 5
    while (kept := observed.kept) > KEPT and time.monotonic() < end:
        time.sleep(0.1)
    return kept
