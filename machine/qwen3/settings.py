"""A worker's settings, as one frozen record of its environment."""

import os
from dataclasses import dataclass
from pathlib import Path

from .contract import CONTEXT_LENGTH, DIMENSIONS, FEWEST_DIMENSIONS, KEYS, QUEUED_REQUESTS
from .environment import required


@dataclass(frozen=True)
class Settings:
    """A worker's settings; docs/reference/machine.md says what each one means."""

    served_model: str
    """The model's name in responses."""
    model_id: str
    """The model's name on Hugging Face, which requests may use as well."""
    model_path: Path
    accelerator: str
    """`cuda` or `cpu`."""
    context_length: int
    """Longest input in tokens, the appended end-of-text token included."""
    dimensions: int
    mem_fraction_static: float
    """Share of the GPU's memory for weights and KV pool."""
    max_total_tokens: int | None
    """Size of the KV pool in tokens; SGLang measures it where this is None."""
    max_inputs: int
    max_body_bytes: int
    max_queued_requests: int
    """Requests that one worker holds at a time, waiting or computing."""
    keys: Path
    """Where qwen3-keys keeps the digests."""

    @property
    def model_names(self) -> tuple[str, str]:
        return self.served_model, self.model_id


def read_settings() -> Settings:
    """Exits with the variable, its value and what is allowed when one is wrong."""
    context_length = whole("QWEN3_CONTEXT_LENGTH", CONTEXT_LENGTH, 16, CONTEXT_LENGTH)
    return Settings(
        served_model=required("QWEN3_SERVED_MODEL"),
        model_id=required("QWEN3_MODEL_ID"),
        model_path=Path(required("QWEN3_MODEL_PATH")),
        accelerator=one_of("QWEN3_ACCELERATOR", "cuda", ("cuda", "cpu")),
        context_length=context_length,
        dimensions=whole("QWEN3_DIMENSIONS", DIMENSIONS, FEWEST_DIMENSIONS, 1 << 16),
        mem_fraction_static=fraction("QWEN3_MEM_FRACTION_STATIC", 0.85, 0.1, 0.95),
        max_total_tokens=whole("QWEN3_MAX_TOTAL_TOKENS", 0, context_length + 8, 1 << 30) or None,
        max_inputs=whole("QWEN3_MAX_INPUTS", 2048, 1, 8192),
        max_body_bytes=whole("QWEN3_MAX_BODY_BYTES", 8 << 20, 1024, 64 << 20),
        max_queued_requests=whole("QWEN3_MAX_QUEUED_REQUESTS", QUEUED_REQUESTS, 1, 1 << 16),
        keys=Path(os.environ.get("QWEN3_KEYS_DIR") or KEYS),
    )


def whole(name: str, default: int, least: int, most: int) -> int:
    text = os.environ.get(name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and least <= int(text) <= most):
        raise SystemExit(f"{name} is {text!r}; allowed: a whole number from {least} to {most}")
    return int(text)


def fraction(name: str, default: float, least: float, most: float) -> float:
    text = os.environ.get(name)
    try:
        value = float(text) if text else default
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise SystemExit(f"{name} is {text!r}; allowed: a number from {least} to {most}")
    return value


def one_of(name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = os.environ.get(name) or default
    if value not in allowed:
        raise SystemExit(f"{name} is {value!r}; allowed: {', '.join(allowed)}")
    return value
