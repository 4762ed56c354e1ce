"""The worker's settings, from the environment that /etc/qwen3/embed.env gives it."""

import os
from dataclasses import dataclass
from pathlib import Path

from .environment import required

FIRST_PORT = 30000
"""Worker N listens on 127.0.0.1, port FIRST_PORT + N."""


@dataclass(frozen=True)
class Settings:
    """Sizes in tokens, items, bytes or requests, as the names say."""

    index: int
    served_model: str
    model_id: str
    model_path: Path
    accelerator: str
    dimensions: int
    context_length: int
    """The longest input in tokens, the end-of-text token included."""
    mem_fraction_static: float
    max_inputs: int
    max_body_bytes: int
    max_waiting_requests: int
    """Requests beyond those being computed; one more is told to come again."""
    max_batch_tokens: int
    """What is given to SGLang at once; a larger request is computed in parts."""
    keys: Path

    @property
    def port(self) -> int:
        return FIRST_PORT + self.index

    @property
    def model_names(self) -> tuple[str, str]:
        """What a request may call the model."""
        return self.served_model, self.model_id


def read_settings(index: int) -> Settings:
    """Settings of worker `index`; exits and names the variable when one is not set or not usable."""
    return Settings(
        index=index,
        served_model=required("QWEN3_SERVED_MODEL"),
        model_id=required("QWEN3_MODEL_ID"),
        model_path=Path(required("QWEN3_MODEL_PATH")),
        accelerator=choice("QWEN3_ACCELERATOR", ("cuda", "cpu")),
        dimensions=integer("QWEN3_DIMENSIONS"),
        context_length=integer("QWEN3_CONTEXT_LENGTH"),
        mem_fraction_static=float(required("QWEN3_MEM_FRACTION_STATIC")),
        max_inputs=integer("QWEN3_MAX_INPUTS"),
        max_body_bytes=integer("QWEN3_MAX_BODY_BYTES"),
        max_waiting_requests=integer("QWEN3_MAX_WAITING_REQUESTS", 256),
        max_batch_tokens=integer("QWEN3_MAX_BATCH_TOKENS", 131072),
        keys=Path(os.environ.get("QWEN3_KEYS_DIR", "/run/qwen3/keys")),
    )


def integer(name: str, default: int | None = None) -> int:
    text = required(name) if default is None else os.environ.get(name) or str(default)
    if not text.isdecimal() or int(text) < 1:
        raise SystemExit(f"{name} is {text!r}; allowed: a whole number from 1")
    return int(text)


def choice(name: str, allowed: tuple[str, ...]) -> str:
    text = required(name)
    if text not in allowed:
        raise SystemExit(f"{name} is {text!r}; allowed: {', '.join(allowed)}")
    return text
