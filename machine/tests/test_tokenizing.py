"""Tokens of requests: the tokenizer's own, whatever the parts in which they are made."""

import asyncio
import unicodedata
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Library
from tokenizers import models, pre_tokenizers, processors, trainers

from qwen3.worker import texts as parts
from qwen3.worker import tokenizing
from qwen3.worker.admission import Admission
from qwen3.worker.errors import ApiError
from qwen3.worker.request import EmbeddingRequest
from qwen3.worker.texts import SLICE_BYTES, chunk, normalized_bytes, slices
from qwen3.worker.tokenizing import CUT_TOKENS, LONG_BYTES, Tokenizing
from qwen3.worker.tokens import Tokenizer

LIMIT = 1000
VOCABULARY = 1500
END = "<|endoftext|>"
PARTS = [
    "word ",
    "  ",
    "\n",
    "Query: ",
    "=====",
    "1",
    "é",
    "e\u0301",
    "漢字",
    "😀",
    "\U0001d160",
    "ünïcödé",
    "\u0301\u0323",
    "\t\n ",
]
TEXTS = st.lists(st.sampled_from(PARTS) | st.text(max_size=5), min_size=1, max_size=40).map("".join).filter(bool)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Tokenizer:
    """The steps of the random model's, with merges learnt from this repository's documentation."""
    folder = tmp_path_factory.mktemp("trained")
    given = Library.from_file(str(model / "tokenizer.json"))
    library = Library(models.BPE())
    library.normalizer, library.pre_tokenizer = given.normalizer, given.pre_tokenizer
    trainer = trainers.BpeTrainer(  # type: ignore[no-untyped-call]
        vocab_size=VOCABULARY,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    documents = [path.read_text() for path in sorted(Path(__file__).parents[2].glob("docs/**/*.md"))]
    library.train_from_iterator([*documents, *PARTS, " " * 512], trainer)
    library.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, library.token_to_id(END))]
    )
    library.save(str(folder / "tokenizer.json"))
    return Tokenizer(folder, VOCABULARY, LIMIT)


def tokens(
    tokenizer: Tokenizer, texts: list[str], instruction: str | None = None, room: int = 1 << 30
) -> list[list[int]]:
    sizes = [normalized_bytes(text) for text in texts]
    request = EmbeddingRequest(texts, sizes, None, instruction, False, 2560, False)

    async def run() -> list[list[int]]:
        with Admission(4, room).admit("client", 0) as reservation:
            items = await Tokenizing(tokenizer).tokens(request, reservation)
            assert reservation.size == 0
            return [item.tolist() for item in items]

    return asyncio.run(run())


def plain(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    """What the library makes of each text by itself, without any limit."""
    return [tokenizer._tokenizer.encode(text).ids for text in texts]


# --- sizes and parts


@given(TEXTS)
def test_the_size_is_an_upper_bound(text: str) -> None:
    assert len(unicodedata.normalize("NFC", text).encode()) <= normalized_bytes(text)


def test_slices_keep_order() -> None:
    sizes = [SLICE_BYTES, 1, SLICE_BYTES - 1, 1, 2 * SLICE_BYTES, 1]
    assert [(rows.start, rows.stop) for rows in slices(sizes)] == [(0, 1), (1, 3), (3, 4), (4, 5), (5, 6)]


@given(TEXTS, st.integers(12, 100))
def test_chunks_are_the_text(text: str, most: int) -> None:
    found: list[str] = []
    with mock.patch.object(parts, "SLICE_BYTES", most):
        while (begin := len("".join(found))) < len(text):
            part, size = chunk(text, begin)
            assert 0 < len(unicodedata.normalize("NFC", part).encode()) <= size <= most
            found.append(part)
    assert "".join(found) == text


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=6).map("".join), st.integers(1, 200), st.integers(12, 400))
def test_parts_have_hardly_more_tokens_than_the_text(tokenizer: Tokenizer, text: str, times: int, most: int) -> None:
    text *= times
    count = begin = cuts = 0
    whole = tokenizer.count(text)
    with mock.patch.object(parts, "SLICE_BYTES", most):
        while begin < len(text):
            part, _ = chunk(text, begin)
            count, begin, cuts = count + tokenizer.count(part), begin + len(part), cuts + 1
            assert count <= whole + CUT_TOKENS * cuts


# --- tokens


@given(st.lists(TEXTS, min_size=1, max_size=6), TEXTS | st.none())
def test_an_instruction_is_as_if_it_were_in_each_text(
    tokenizer: Tokenizer, texts: list[str], instruction: str | None
) -> None:
    whole = texts if instruction is None else [f"Instruct: {instruction}\nQuery:{text}" for text in texts]
    for repeated in (0, 1 << 30):
        with mock.patch.object(tokenizing, "REPEATED_BYTES", repeated):
            assert tokens(tokenizer, texts, instruction) == plain(tokenizer, whole)


def test_an_instruction_is_tokenized_once(tokenizer: Tokenizer) -> None:
    with mock.patch.object(Tokenizer, "encode", autospec=True, side_effect=Tokenizer.encode) as encode:
        tokens(tokenizer, ["text"] * 500, "find it " * 50)
    assert sum(len(text) for call in encode.call_args_list for text in call.args[1]) == 500 * len("Query:text")


def test_long_texts_are_tokenized_as_a_whole(tokenizer: Tokenizer) -> None:
    for text in ("é " * 300, "word " * 400, " " * 20_000):
        with mock.patch.object(parts, "SLICE_BYTES", 100), mock.patch.object(tokenizing, "SLICE_BYTES", 100):
            assert tokens(tokenizer, ["a", text, "b"]) == plain(tokenizer, ["a", text, "b"])


@pytest.mark.parametrize("part", ["word ", "😀", "\U0001d160", "\u0301\u0323", "a"])
def test_a_text_that_is_too_long_is_rejected_by_its_first_part(tokenizer: Tokenizer, part: str) -> None:
    with (
        mock.patch.object(Tokenizer, "count", autospec=True, side_effect=Tokenizer.count) as count,
        mock.patch.object(Tokenizer, "encode", side_effect=AssertionError),
        pytest.raises(ApiError) as caught,
    ):
        tokens(tokenizer, [part * (8_000_000 // len(part.encode()))])
    assert (caught.value.param, caught.value.code) == ("input[0]", "context_length_exceeded")
    assert count.call_count == 1


def test_a_long_text_reserves_what_the_tokenizer_needs(tokenizer: Tokenizer) -> None:
    """128 spaces are one token here, so that many bytes fit."""
    text = " " * (SLICE_BYTES + 1000)
    size = LONG_BYTES * len(text)
    limit, tokenizer.limit = tokenizer.limit, 1 << 20
    try:
        assert tokens(tokenizer, [text], room=2 * size) == plain(tokenizer, [text])
        with pytest.raises(ApiError) as caught:
            tokens(tokenizer, [text], room=size - 1)
        assert caught.value.status == 503
    finally:
        tokenizer.limit = limit
