"""The model's tokenizer: token IDs as the model reads them, which end in its end-of-text token."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tokenizers

from .errors import invalid, too_long
from .items import Tokens, as_tokens

FOREIGN_TOKENS = (
    "This model's tokenizer appends that token; without it they may be another tokenizer's, and their vector would be "
    "wrong without an error. Send text: in LangChain's OpenAIEmbeddings set check_embedding_ctx_length=False."
)
NO_TOKENS: Tokens = np.array([], dtype=np.int32)


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
        self.limit = limit
        self._end = end_of_text(self._tokenizer, folder)

    def encode(self, texts: list[str], name: Callable[[int], str], before: Tokens = NO_TOKENS) -> list[Tokens]:
        """The tokens of each text. Raises ApiError for the first text that has too many.

        name: of the text with an index, for the error
        before: tokens that are put in front of each text's
        """
        encodings = self._tokenizer.encode_batch_fast(texts)
        for index, encoding in enumerate(encodings):
            if (count := len(before) + len(encoding)) > self.limit:
                raise too_long(name(index), self.limit, count)
        items = [as_tokens(encoding.ids) for encoding in encodings]
        return [np.concatenate((before, item)) for item in items] if len(before) else items

    def count(self, text: str) -> int:
        """The number of tokens of a part of a text."""
        [encoding] = self._tokenizer.encode_batch_fast([text], add_special_tokens=False)
        return len(encoding)

    def separable(self, begin: str, rest: str) -> Tokens:
        """The tokens of `begin` if both together have the tokens of the one and then of the other. Otherwise none."""
        [encoding] = self._tokenizer.encode_batch_fast([begin], add_special_tokens=False)
        separate, together = self._tokenizer.encode_batch_fast([rest, begin + rest])
        return as_tokens(encoding.ids) if encoding.ids + separate.ids == together.ids else NO_TOKENS

    def checked(self, ids: Tokens, name: str) -> Tokens:
        """Token IDs as sent. They must end in the token that this model's tokenizer appends.

        Another tokenizer's IDs are mostly in the vocabulary too and would get the vector of some other text, but do not
        end in that token.
        """
        if ids[-1] != self._end:
            raise invalid(name, f"{name} contains token IDs without {self._end} at their end. {FOREIGN_TOKENS}")
        # A negative ID is a large number without a sign.
        outside = ids.view(np.uint32) >= self._vocabulary
        if outside.any():
            message = f"{name} contains a token ID outside 0 to {self._vocabulary - 1} at position {outside.argmax()}."
            raise invalid(name, message)
        return ids


def load(folder: Path, vocabulary: int) -> tuple[tokenizers.Tokenizer, list[str]]:
    """The tokenizer without the tokens that the model has no embedding for, and those tokens.

    Qwen3-Embedding's tokenizer has <think> and three more beyond the model's 151,665 rows. As plain text they are
    harmless; as IDs they would end SGLang's process.
    """
    # Each call runs in its own thread, so that no client's texts wait for another's in a pool that all share.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
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
