"""The value of `input` in a long body, read item by item: as much of it as `request` needs to accept or refuse it."""

import json
import re
from array import array
from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from .errors import too_long

DECODER = json.JSONDecoder()
INTEGERS = msgspec.json.Decoder(list[int])
INTEGER = re.compile(r"[ \t\n\r]*-?(0|[1-9][0-9]*)[ \t\n\r]*")
SPACE = re.compile(r"[ \t\n\r]*")
OUTSIDE = (1 << 31) - 1
"""Replaces a number that int32 cannot hold: it is in no vocabulary either."""

Tokens = NDArray[np.int32]
"""One item's token IDs, shape [tokens]."""


def read_items(text: str, most: int, limit: int) -> object:
    """The value of well-formed JSON, as `json.loads` returns it, but with token IDs in arrays, and not always complete:

    - a list of texts, or of lists of token IDs, ends with item `most` + 1, or with the first item of another type,
      which is None,
    - a list of numbers has None instead of what is not a whole number,
    - a value that is refused whatever it contains is None.

    Raises ApiError for a list of more than `limit` token IDs, and ValueError for JSON that Python does not accept.
    """
    begin = after_space(text, 0)
    if text[begin] == '"':
        return DECODER.raw_decode(text, begin)[0]
    if text[begin] != "[":
        return None
    match text[after_space(text, begin + 1)]:
        case "]":
            return []
        case '"':
            return list(texts(text, begin, most))
        case "[":
            return list(lists(text, begin, most, limit))
        case "t" | "f":
            # To Python a number, so that it is refused as one of several.
            return [True]
        case "-" | "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9":
            return token_ids(text[begin:], "input", limit)
        case _:
            return [None]


def texts(text: str, position: int, most: int) -> Iterator[str | None]:
    """The strings of the list that begins at a position."""
    for _ in range(most + 1):
        position = after_space(text, position + 1)
        if text[position] != '"':
            yield None
            return
        item, position = DECODER.raw_decode(text, position)
        yield item
        position = after_space(text, position)
        if text[position] != ",":
            return


def lists(text: str, position: int, most: int, limit: int) -> Iterator[Tokens | list[int | None] | None]:
    """The lists of token IDs of the list that begins at a position."""
    for index in range(most + 1):
        position = after_space(text, position + 1)
        if text[position] != "[":
            yield None
            return
        end = text.index("]", position) + 1
        item = token_ids(text[position:end], f"input[{index}]", limit)
        yield item
        position = after_space(text, end)
        # Where a list contains something else, its end is not known.
        if isinstance(item, list) or text[position] != ",":
            return


def token_ids(text: str, name: str, limit: int) -> Tokens | list[int | None]:
    """The whole numbers of a list, or a list with None if it contains something else. Raises ApiError for too many."""
    count = text.count(",") + 1
    if count > limit:
        raise too_long(name, limit, count)
    try:
        return as_tokens(INTEGERS.decode(text))
    except msgspec.DecodeError:
        return [int(part) if INTEGER.fullmatch(part) else None for part in text[1:-1].split(",")]


def as_tokens(numbers: list[int]) -> Tokens:
    """An array of whole numbers of any size."""
    try:
        return np.frombuffer(array("i", numbers), dtype=np.int32)
    except OverflowError:
        return np.array([n if 0 <= n < OUTSIDE else OUTSIDE for n in numbers], dtype=np.int32)


def after_space(text: str, position: int) -> int:
    """The position of the next character that is not JSON's white space."""
    space = SPACE.match(text, position)
    return space.end() if space else position
