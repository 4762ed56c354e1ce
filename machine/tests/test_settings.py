"""A worker's settings."""

import pytest

from qwen3.contract import KEYS, QUEUED_REQUESTS
from qwen3.settings import read_settings


@pytest.fixture(autouse=True)
def _good(monkeypatch: pytest.MonkeyPatch) -> None:
    good = {"QWEN3_SERVED_MODEL": "m", "QWEN3_MODEL_ID": "o/m", "QWEN3_MODEL_PATH": "/m"}
    for name, value in good.items():
        monkeypatch.setenv(name, value)


def test_defaults() -> None:
    settings = read_settings()
    assert (settings.keys, settings.max_queued_requests) == (KEYS, QUEUED_REQUESTS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("QWEN3_CONTEXT_LENGTH", "40000"),
        ("QWEN3_MEM_FRACTION_STATIC", "nan"),
        ("QWEN3_ACCELERATOR", "tpu"),
        ("QWEN3_MAX_INPUTS", "-1"),
    ],
)
def test_errors_name_the_setting(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=f"{name} is '{value}'; allowed: "):
        read_settings()
