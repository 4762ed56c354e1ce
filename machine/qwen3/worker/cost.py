"""Memory of a request in bytes, for admission: at each stage the most that what was sent can need."""

import sys

from ..settings import Settings
from .request import EmbeddingRequest
from .response import PIECE
from .texts import normalized_bytes

READING = 12
"""Memory of a request while it is read, in multiples of its body: the body, and its texts as Python's strings."""
TOKEN = 4
"""A token ID in an array of int32."""
ITEM = 256
"""An item's objects apart from what they contain."""
DIMENSION = 4
"""A dimension of a vector in an array of float32."""
WRITTEN_DIMENSION = 16
"""A dimension of a vector as a JSON number: up to 15 characters, and a comma."""


def of_body(length: int) -> int:
    """While a body of this length arrives and is read."""
    return READING * length


def of_request(request: EmbeddingRequest, settings: Settings) -> int:
    """While it is tokenized: its texts, and as many tokens as they have bytes, or the context has."""
    if request.texts is None:
        return of_tokens(sum(map(len, request.token_ids or ())), request.count, request.dimensions, settings)
    prompt = normalized_bytes(request.instruction or "") + 32
    tokens = sum(min(prompt + size, settings.context_length) for size in request.sizes)
    # Python keeps the UTF-8 of a string that the tokenizer has read.
    texts = sum(map(sys.getsizeof, request.texts)) + sum(request.sizes)
    return texts + of_tokens(tokens, request.count, request.dimensions, settings)


def of_tokens(tokens: int, items: int, dimensions: int, settings: Settings) -> int:
    """While it is computed and its response is sent: its tokens, its vectors, also shortened, and a piece of JSON."""
    vectors = (ITEM + DIMENSION * (settings.dimensions + dimensions)) * items
    return TOKEN * tokens + vectors + WRITTEN_DIMENSION * dimensions * min(items, PIECE)
