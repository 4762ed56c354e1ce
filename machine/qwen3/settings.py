"""A worker's settings, as one frozen record of its environment."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from .contract import DIMENSIONS, FEWEST_DIMENSIONS, KEYS, QUEUED_REQUESTS
from .environment import required

Schema = Mapping[str, Any]

SCHEMAS: Mapping[str, Schema] = json.loads(Path(__file__).with_name("settings.schema.json").read_text())["properties"]
"""By variable: type, limits, default, and the allowed values in words. Generated from the stack's table of settings."""


@dataclass(frozen=True)
class Settings:
    """A worker's settings; docs/reference/settings.md describes those of the stack."""

    served_model: str
    """The model's name in responses."""
    model_id: str
    """The model's name on Hugging Face, which requests can use as well."""
    model_path: Path
    accelerator: str
    """`cuda` or `cpu`."""
    context_length: int
    """Maximum length of an input in tokens, including the appended end-of-text token."""
    dimensions: int
    mem_fraction_static: float
    """Fraction of the GPU's memory for weights and KV pool."""
    max_total_tokens: int | None
    """Size of the KV pool in tokens. SGLang determines it if this is None."""
    max_inputs: int
    max_body_bytes: int
    max_queued_requests: int
    """Requests that one worker holds at a time, queued or computing."""
    keys: Path
    """The folder of qwen3-keys with the digests."""

    @property
    def model_names(self) -> tuple[str, str]:
        return self.served_model, self.model_id


def read_settings() -> Settings:
    """Exits with the variable, its value and what is allowed if one is wrong."""
    context_length = told("QWEN3_CONTEXT_LENGTH")
    return Settings(
        served_model=required("QWEN3_SERVED_MODEL"),
        model_id=required("QWEN3_MODEL_ID"),
        model_path=Path(required("QWEN3_MODEL_PATH")),
        accelerator=told("QWEN3_ACCELERATOR"),
        context_length=context_length,
        dimensions=own("QWEN3_DIMENSIONS", DIMENSIONS, FEWEST_DIMENSIONS, 1 << 16),
        mem_fraction_static=told("QWEN3_MEM_FRACTION_STATIC"),
        max_total_tokens=own("QWEN3_MAX_TOTAL_TOKENS", 0, context_length + 8, 1 << 30) or None,
        max_inputs=told("QWEN3_MAX_INPUTS"),
        max_body_bytes=told("QWEN3_MAX_BODY_BYTES"),
        max_queued_requests=own("QWEN3_MAX_QUEUED_REQUESTS", QUEUED_REQUESTS, 1, 1 << 16),
        keys=Path(os.environ.get("QWEN3_KEYS_DIR") or KEYS),
    )


def told(name: str) -> Any:
    """A setting of the stack, by its schema."""
    return read(name, SCHEMAS[name])


def own(name: str, default: int, least: int, most: int) -> int:
    """A number that the stack does not set: for tests and experiments."""
    limits = {"type": "integer", "minimum": least, "maximum": most, "default": default}
    number: int = read(name, {**limits, "allowed": f"a whole number from {least} to {most}"})
    return number


def read(name: str, schema: Schema) -> Any:
    """The variable's value, or the default of the schema. Exits if the schema does not allow the value."""
    text = os.environ.get(name)
    if not text:
        return schema["default"]
    value = parse(text, schema)
    if not Draft202012Validator(schema).is_valid(value):
        raise SystemExit(f"{name} is {text!r}; allowed: {schema['allowed']}")
    return value


def parse(text: str, schema: Schema) -> object:
    """The environment has only texts: a number is parsed as JSON, and kept as text if that fails."""
    if schema.get("type") not in ("integer", "number"):
        return text
    try:
        value = json.loads(text, parse_constant=str)
    except ValueError:
        return text
    # JSON Schema accepts 1.0 as a whole number; Python does not.
    return text if schema["type"] == "integer" and isinstance(value, float) else value
