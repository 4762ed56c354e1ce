"""Vectors of fixed texts, which another instance with the same model must return too."""

import http.client
import os

from .row import Failed
from .workers import Vector, Workers, embeddings

TEXTS = (
    "Bread needs an oven",
    "Instruct: Given a question, find its answer\nQuery:Why does the moon not fall?",
    "The harbour was quiet before the storm, and the last boats came home. " * 40,
)
DIMENSIONS = 256
"""Three complete vectors would be longer than the output that Run Command returns."""
DIGITS = 6
MODEL = ("QWEN3_MODEL_SOURCE", "QWEN3_MODEL_SHA256", "QWEN3_ACCELERATOR")
"""Settings that determine the vectors."""


def document(workers: Workers, key: str) -> dict[str, object]:
    """{"model": {setting: value}, "vectors": [[number, ...], ...]}, from the first worker that returns them.

    Raises Failed if none does.
    """
    problems = []
    for index, name in enumerate(workers.units()):
        try:
            vectors = embeddings(workers.port(index), key, TEXTS, DIMENSIONS)
            return {"model": {name: os.environ.get(name, "") for name in MODEL}, "vectors": rounded(vectors)}
        except (Failed, OSError, http.client.HTTPException) as error:
            problems.append(f"{name}: {str(error) or type(error).__name__}")
    raise Failed("; ".join(problems) or "the bundle enables no worker")


def rounded(vectors: list[Vector]) -> list[list[float]]:
    return [[round(number, DIGITS) for number in vector] for vector in vectors]
