"""Passes of a batch, and a tokenizer with more tokens than the model."""

import json
from pathlib import Path

import numpy as np
import pytest

from qwen3.worker.engine import ITEM_COST, PASS_COST, passes
from qwen3.worker.tokens import Tokenizer

VOCABULARY = 257


def test_passes_keep_order_and_cost() -> None:
    items = [np.zeros(size, dtype=np.int32) for size in [1] * 200 + [9000] + [100] * 50]
    parts = list(passes(items))
    assert [i for rows, _ in parts for i in range(rows.start, rows.stop)] == list(range(len(items)))
    for rows, cost in parts:
        assert cost == sum(max(len(item), ITEM_COST) for item in items[rows])
        assert cost <= PASS_COST or rows.stop - rows.start == 1


class Files:
    """A copy of the random model's tokenizer, for changes."""

    def __init__(self, folder: Path, model: Path) -> None:
        self.definition = json.loads((model / "tokenizer.json").read_text())
        self._folder = folder

    def tokenizer(self, vocabulary: int = VOCABULARY) -> Tokenizer:
        (self._folder / "tokenizer.json").write_text(json.dumps(self.definition))
        return Tokenizer(self._folder, vocabulary, 64)


@pytest.fixture
def files(tmp_path: Path, model: Path) -> Files:
    return Files(tmp_path, model)


def ids(tokenizer: Tokenizer, text: str) -> list[int]:
    [item] = tokenizer.encode([text], str)
    return [int(token) for token in item]


def test_tokens_beyond_the_model_are_text(files: Files) -> None:
    plain = ids(files.tokenizer(), "a<think>b")
    files.definition["added_tokens"].append(
        {**files.definition["added_tokens"][0], "id": 300, "content": "<think>", "special": False}
    )
    tokenizer = files.tokenizer()
    assert tokenizer.dropped == ["<think>"]
    assert ids(tokenizer, "a<think>b") == plain
    assert max(plain) < VOCABULARY


def test_a_tokenizer_that_appends_nothing_is_rejected(files: Files) -> None:
    files.definition["post_processor"] = None
    with pytest.raises(SystemExit, match="end-of-text"):
        files.tokenizer()


def test_a_tokenizer_of_another_model_is_rejected(files: Files) -> None:
    with pytest.raises(SystemExit, match="different models"):
        files.tokenizer(200)
