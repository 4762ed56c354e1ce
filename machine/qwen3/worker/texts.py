"""What tokenizing texts costs, and the parts in which it is done: bytes of UTF-8 after the tokenizer's normalization.

The published tokenizer normalizes to NFC, which can make a text longer, and makes at most one token of each byte.
"""

import unicodedata
from collections.abc import Iterator, Sequence

SLICE_BYTES = 1 << 17
"""Of the texts that are tokenized in one call, to limit the tokenizer's own records and the time of the call."""
EXPANSION = 3
"""Maximum factor of NFC in UTF-8: U+1D160 has four bytes and becomes three characters of four."""


def normalized_bytes(text: str) -> int:
    """The maximum number of bytes that the text has in NFC. Exact for a text in NFC of up to SLICE_BYTES."""
    if text.isascii():
        return len(text)
    size = len(text.encode())
    # Not for long texts, because the check keeps other threads waiting.
    exact = size <= SLICE_BYTES and unicodedata.is_normalized("NFC", text)
    return size if exact else EXPANSION * size


def slices(sizes: Sequence[int]) -> Iterator[slice]:
    """Texts of these sizes in order, in parts of at most SLICE_BYTES. A longer text is a part of its own."""
    begin, total = 0, 0
    for index, size in enumerate(sizes):
        if index > begin and total + size > SLICE_BYTES:
            yield slice(begin, index)
            begin, total = index, 0
        total += size
    yield slice(begin, len(sizes))


def chunk(text: str, begin: int) -> tuple[str, int]:
    """A part of the text, from a position, of at most SLICE_BYTES, and its maximum number of bytes in NFC."""
    length = SLICE_BYTES
    while (size := normalized_bytes(part := text[begin : begin + length])) > SLICE_BYTES:
        length //= 2
    return part, size
