"""Vectors as JSON in OpenAI's format."""

from collections.abc import Iterator

import numpy as np
import orjson
import pybase64
from numpy.typing import NDArray

PIECE = 16
"""Number of vectors that are written at a time: a large response is never completely in memory as text."""

Vectors = NDArray[np.float32]
"""Shape [items, dimensions]; every row of length 1."""


def shorten(vectors: Vectors, dimensions: int) -> Vectors:
    """The first dimensions of each row, with length 1 again. The model was trained for it (Matryoshka)."""
    if dimensions == vectors.shape[1]:
        return vectors
    cut = vectors[:, :dimensions]
    return np.ascontiguousarray(cut / np.linalg.norm(cut, axis=1, keepdims=True), dtype="<f4")


def pieces(vectors: Vectors, as_base64: bool, model: str, tokens: int) -> Iterator[bytes]:
    """The response's body in pieces."""
    usage = orjson.dumps({"prompt_tokens": tokens, "total_tokens": tokens})
    opening, closing = b'{"object":"list","data":[', b'],"model":%b,"usage":%b}' % (orjson.dumps(model), usage)
    for begin in range(0, len(vectors), PIECE):
        rows = range(begin, min(begin + PIECE, len(vectors)))
        yield opening + b",".join(item(index, vectors[index], as_base64) for index in rows)
        opening = b","
    yield closing


def item(index: int, vector: NDArray[np.float32], as_base64: bool) -> bytes:
    embedding = pybase64.b64encode_as_string(vector.data) if as_base64 else vector
    return orjson.dumps(
        {"object": "embedding", "index": index, "embedding": embedding}, option=orjson.OPT_SERIALIZE_NUMPY
    )
