"""A worker's settings."""

import pytest

from qwen3.contract import KEYS, QUEUED_REQUESTS
from qwen3.settings import SCHEMAS, read_settings


@pytest.fixture(autouse=True)
def _good(monkeypatch: pytest.MonkeyPatch) -> None:
    good = {"QWEN3_SERVED_MODEL": "m", "QWEN3_MODEL_ID": "o/m", "QWEN3_MODEL_PATH": "/m"}
    for name, value in good.items():
        monkeypatch.setenv(name, value)


def test_defaults() -> None:
    settings = read_settings()
    assert (settings.keys, settings.max_queued_requests) == (KEYS, QUEUED_REQUESTS)
    assert (settings.context_length, settings.mem_fraction_static, settings.accelerator) == (32768, 0.85, "cuda")


def test_limits_are_those_of_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("QWEN3_CONTEXT_LENGTH", "QWEN3_MAX_INPUTS", "QWEN3_MAX_BODY_BYTES"):
        least, most = SCHEMAS[name]["minimum"], SCHEMAS[name]["maximum"]
        for value in (least, most):
            monkeypatch.setenv(name, str(value))
            read_settings()
        for value in (least - 1, most + 1):
            monkeypatch.setenv(name, str(value))
            with pytest.raises(SystemExit, match=f"allowed: a whole number of .* from {least} to {most}"):
                read_settings()
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("QWEN3_CONTEXT_LENGTH", "40000"),
        ("QWEN3_MEM_FRACTION_STATIC", "nan"),
        ("QWEN3_ACCELERATOR", "tpu"),
        ("QWEN3_MAX_INPUTS", "-1"),
        ("QWEN3_MAX_INPUTS", "1e2000"),
        ("QWEN3_MAX_INPUTS", "1.5"),
        ("QWEN3_MAX_INPUTS", "true"),
        ("QWEN3_MAX_QUEUED_REQUESTS", "0"),
    ],
)
def test_errors_name_the_setting(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=f"{name} is '{value}'; allowed: "):
        read_settings()
