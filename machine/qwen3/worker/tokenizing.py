"""From the items of requests to tokens: in parts of a limited size, one client after another.

A text is tokenized as a whole, so that its tokens are the model's own. Whether it can fit the context is known before:
the tokens of its parts, counted one after another, are hardly more than those of the whole.
"""

import os
from dataclasses import dataclass

from .admission import Reservation
from .errors import too_long
from .items import Tokens
from .request import EmbeddingRequest
from .texts import SLICE_BYTES, chunk, normalized_bytes, slices
from .threads import FairThreads
from .tokens import NO_TOKENS, Tokenizer

INLINE_BYTES = 2048
"""For fewer bytes, tokenizing costs less than a switch to a thread."""
THREADS = max(2, min(4, len(os.sched_getaffinity(0))))
"""Slices that are tokenized at a time. Four threads are several times as fast as a GPU."""
LONG_BYTES = 160
"""Memory of the tokenizer for each byte of a long text, which has few tokens for its length. Measured."""
CUT_TOKENS = 64
"""For each cut, the parts of a text have together at most so many more tokens than the text."""
REPEATED_BYTES = 1 << 14
"""If the instructions of all texts together have fewer bytes, tokenizing one of them only once saves nothing."""


@dataclass(frozen=True)
class Prompt:
    """What is in front of each text of a request: some tokens, then a text."""

    tokens: Tokens
    text: str
    size: int
    """Maximum number of bytes of `text` in NFC."""


class Tokenizing:
    """Tokenizes requests, in threads where it takes time."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._threads = FairThreads(THREADS)
        # One at a time, in addition to the others: it may take a second, and much memory.
        self._long = FairThreads(1)

    async def tokens(self, request: EmbeddingRequest, reservation: Reservation) -> list[Tokens]:
        """The tokens of every item, in order. Raises ApiError that names the first invalid item."""
        if request.texts is None:
            return [self._tokenizer.checked(ids, request.name(i)) for i, ids in enumerate(request.token_ids or ())]
        prompt = await self._prompt(request, request.texts, reservation)
        sizes = [prompt.size + size for size in request.sizes]
        items: list[Tokens] = []
        for rows in slices(sizes):
            texts, size = request.texts[rows], sum(sizes[rows])
            if size <= INLINE_BYTES and not len(prompt.tokens):
                items += self._encode(request, texts, rows.start, prompt)
            elif size <= SLICE_BYTES:
                items += await self._threads.run(reservation, self._encode, request, texts, rows.start, prompt)
            else:
                items += await self._encode_long(request, texts, rows.start, prompt, reservation)
        return items

    async def _prompt(self, request: EmbeddingRequest, texts: list[str], reservation: Reservation) -> Prompt:
        """As on the model's card. Where they can be separated, the tokens of the instruction are made only once."""
        if request.instruction is None:
            return Prompt(NO_TOKENS, "", 0)
        begin, rest = f"Instruct: {request.instruction}\n", "Query:"
        whole = Prompt(NO_TOKENS, begin + rest, normalized_bytes(begin + rest))
        if request.count * whole.size < REPEATED_BYTES:
            return whole
        # What follows is the same for all texts, so what is true for one of them is true for all.
        sample = rest + texts[0][:64]
        tokens = await self._threads.run(reservation, self._tokenizer.separable, begin, sample)
        return Prompt(tokens, rest, len(rest)) if len(tokens) else whole

    def _encode(self, request: EmbeddingRequest, texts: list[str], first: int, prompt: Prompt) -> list[Tokens]:
        """The tokens of some texts of a request, from the one with index `first` on."""
        prompted = [prompt.text + text for text in texts] if prompt.text else texts
        return self._tokenizer.encode(prompted, lambda index: request.name(first + index), prompt.tokens)

    async def _encode_long(
        self, request: EmbeddingRequest, texts: list[str], first: int, prompt: Prompt, reservation: Reservation
    ) -> list[Tokens]:
        """The tokens of one text of more than SLICE_BYTES."""
        [text] = texts
        tokens, size, begin, cuts = len(prompt.tokens), prompt.size, 0, 0
        while begin < len(text):
            cuts += 1
            end, more, count = await self._threads.run(reservation, self._count, text, begin)
            begin, size, tokens = end, size + more, tokens + count
            if tokens > self._tokenizer.limit + CUT_TOKENS * cuts:
                raise too_long(request.name(first), self._tokenizer.limit)
        async with self._long.turn(reservation):
            with reservation.extra(LONG_BYTES * size):
                return await self._long.call(self._encode, request, texts, first, prompt)

    def _count(self, text: str, begin: int) -> tuple[int, int, int]:
        """Of the slice of a text from a position: its end, its maximum number of bytes in NFC, its tokens."""
        part, size = chunk(text, begin)
        return begin + len(part), size, self._tokenizer.count(part)
