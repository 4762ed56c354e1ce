"""Texts and token IDs as the model reads them: checked token IDs that end in its end-of-text token."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tokenizers
from numpy.typing import NDArray

from .errors import ApiError, invalid
from .request import EmbeddingRequest

INLINE_CHARACTERS = 4096
"""For fewer characters, tokenizing costs less than a switch to a thread."""
SLICE_CHARACTERS = 1 << 18
"""Characters tokenized in one call, to limit the tokenizer's own records, about 100 bytes per token."""
PREFIX_CHARACTERS = 1 << 20
THREADS = 2
FOREIGN_TOKENS = (
    "This model's tokenizer appends that token; without it they may be another tokenizer's, and their vector would be "
    "wrong without an error. Send text: in LangChain's OpenAIEmbeddings set check_embedding_ctx_length=False."
)

Tokens = NDArray[np.int32]
"""One item's token IDs, shape [tokens]."""


class Tokenizer:
    """The model's own tokenizer, with checks that it does not have: the end of the vocabulary and the length."""

    def __init__(self, folder: Path, vocabulary: int, limit: int) -> None:
        """Exits if the tokenizer does not append the token that the model pools on.

        folder: the model's folder
        vocabulary: rows of its embedding matrix
        limit: maximum number of tokens of an item, including the end-of-text token
        """
        self._tokenizer, self.dropped = load(folder, vocabulary)
        self._vocabulary = vocabulary
        self._limit = limit
        self._end = end_of_text(self._tokenizer, folder)
        self._threads = asyncio.Semaphore(THREADS)

    async def tokens(self, request: EmbeddingRequest) -> list[Tokens]:
        """The tokens of every item, in order. Raises ApiError that names the invalid item."""
        if request.texts is None:
            return [self._checked(ids, request.name(i)) for i, ids in enumerate(request.token_ids or ())]
        items: list[Tokens] = []
        for texts in slices(request.texts):
            items += await self._encode(texts, request, len(items))
        return items

    async def _encode(self, texts: list[str], request: EmbeddingRequest, first: int) -> list[Tokens]:
        if sum(map(len, texts)) <= INLINE_CHARACTERS:
            return self._encode_now(texts, request, first)
        async with self._threads:
            return await asyncio.to_thread(self._encode_now, texts, request, first)

    def _encode_now(self, texts: list[str], request: EmbeddingRequest, first: int) -> list[Tokens]:
        if len(texts) == 1 and len(texts[0]) > PREFIX_CHARACTERS:
            self._check_prefix(texts[0], request.name(first))
        encodings = self._tokenizer.encode_batch_fast(texts)
        items = [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]
        for index, item in enumerate(items, first):
            self._check_length(len(item), request.name(index))
        return items

    def _check_prefix(self, text: str, name: str) -> None:
        """Rejects a text that is far too long by its beginning, because tokenizing megabytes takes gigabytes."""
        if len(self._tokenizer.encode(text[:PREFIX_CHARACTERS]).ids) > 2 * self._limit:
            raise self._too_long(name)

    def _checked(self, ids: list[int], name: str) -> Tokens:
        """Token IDs as sent. They must end in the token that this model's tokenizer appends.

        Another tokenizer's IDs are mostly in the vocabulary too and would get the vector of some other text, but do not
        end in that token.
        """
        if ids[-1] != self._end:
            raise invalid(name, f"{name} contains token IDs without {self._end} at their end. {FOREIGN_TOKENS}")
        if min(ids) < 0 or max(ids) >= self._vocabulary:
            wrong = next(i for i, token in enumerate(ids) if not 0 <= token < self._vocabulary)
            raise invalid(name, f"{name} contains a token ID outside 0 to {self._vocabulary - 1} at position {wrong}.")
        self._check_length(len(ids), name)
        return np.array(ids, dtype=np.int32)

    def _check_length(self, count: int, name: str) -> None:
        if count > self._limit:
            raise self._too_long(name, count)

    def _too_long(self, name: str, count: int | None = None) -> ApiError:
        has = "has" if count is None else f"has {count} tokens,"
        message = f"{name} {has} more than the limit of {self._limit} tokens, including the appended end-of-text token."
        error = invalid(name, message)
        error.code = "context_length_exceeded"
        return error


def load(folder: Path, vocabulary: int) -> tuple[tokenizers.Tokenizer, list[str]]:
    """The tokenizer without the tokens that the model has no embedding for, and those tokens.

    Qwen3-Embedding's tokenizer has <think> and three more beyond the model's 151,665 rows. As plain text they are
    harmless; as IDs they would end SGLang's process.
    """
    definition = json.loads((folder / "tokenizer.json").read_text())
    added = definition["added_tokens"]
    definition["added_tokens"] = [token for token in added if token["id"] < vocabulary]
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(definition))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if max(tokenizer.get_vocab().values()) >= vocabulary:
        raise SystemExit(
            f"{folder}/tokenizer.json has tokens beyond the model's {vocabulary}: they belong to different models"
        )
    return tokenizer, [token["content"] for token in added if token["id"] >= vocabulary]


def end_of_text(tokenizer: tokenizers.Tokenizer, folder: Path) -> int:
    plain = tokenizer.encode("a", add_special_tokens=False).ids
    ids = tokenizer.encode("a").ids
    if ids[:-1] != plain:
        raise SystemExit(
            f"{folder}/tokenizer.json appends no end-of-text token, which the model pools on: it is not this model's"
        )
    return ids[-1]


def slices(texts: Sequence[str]) -> Iterator[list[str]]:
    """Texts in order, in lists with a limited number of characters. A longer text is in a list of its own."""
    batch: list[str] = []
    characters = 0
    for text in texts:
        if batch and characters + len(text) > SLICE_CHARACTERS:
            yield batch
            batch, characters = [], 0
        batch.append(text)
        characters += len(text)
    yield batch
