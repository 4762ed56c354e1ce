"""The program around the agent: its pace and its settings."""

import pytest

from qwen3.contract import POLL_SECONDS
from qwen3.keys import Backoff, poll_seconds


def test_back_off() -> None:
    backoff = Backoff(5)
    assert backoff.after(True) == 5
    waits = [backoff.after(False) for _ in range(8)]
    assert all(2.5 <= wait <= 60 for wait in waits), waits
    assert waits[-1] >= 30
    assert backoff.after(True) == 5


def test_the_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QWEN3_POLL_SECONDS", raising=False)
    assert poll_seconds() == POLL_SECONDS
    monkeypatch.setenv("QWEN3_POLL_SECONDS", "1.5")
    assert poll_seconds() == 1.5
    for wrong in ("0", "61", "nan", "x"):
        monkeypatch.setenv("QWEN3_POLL_SECONDS", wrong)
        with pytest.raises(SystemExit, match=f"is '{wrong}'; allowed: seconds from 1 to 60"):
            poll_seconds()
