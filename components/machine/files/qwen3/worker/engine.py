"""SGLang's engine in this process: token IDs in, unit vectors out. None of SGLang's own HTTP routes exist here."""

import asyncio
import contextlib
import os
from typing import Any

import numpy as np

from ..settings import Settings
from .requests import EmbeddingRequest, check_length

RESERVED_TOKENS = 8
"""SGLang refuses an input as long as its context; ours may be that long. The model itself has 40,960 positions."""
CPU_TOKENS = 65536
"""The KV pool on a CPU, where there is no GPU memory to measure."""

Vectors = np.ndarray
"""float32, shape (items, dimensions), each row of length 1."""


def engine_arguments(settings: Settings) -> dict[str, Any]:
    """SGLang's server arguments. docs/machine.md says why each is there."""
    arguments: dict[str, Any] = {
        "model_path": str(settings.model_path),
        "served_model_name": settings.served_model,
        "is_embedding": True,
        "context_length": settings.context_length + RESERVED_TOKENS,
        "mem_fraction_static": settings.mem_fraction_static,
        "trust_remote_code": False,
        "random_seed": 0,
        "log_level": "warning",
        # The worker tokenizes, so that it can check lengths before SGLang sees an input.
        "skip_tokenizer_init": False,
    }
    if settings.accelerator == "cpu":
        arguments |= {
            "device": "cpu",
            "attention_backend": "torch_native",
            "max_total_tokens": max(CPU_TOKENS, settings.context_length + RESERVED_TOKENS),
        }
    return arguments


class EmbeddingEngine:
    """Starts SGLang's processes and embeds; blocks until the weights are loaded."""

    def __init__(self, settings: Settings) -> None:
        # Weights are on the disk, complete; nothing is looked up elsewhere.
        os.environ["HF_HUB_OFFLINE"] = "1"
        from sglang.srt.entrypoints.engine import Engine

        self._settings = settings
        self._engine = Engine(**engine_arguments(settings))
        self._manager = self._engine.tokenizer_manager
        self._tokenizer = self._manager.tokenizer
        self.vocabulary: int = self._manager.model_config.vocab_size
        self._end: int = self._tokenizer("a")["input_ids"][-1]
        if self._end not in self._tokenizer.all_special_ids:
            raise SystemExit("the tokenizer appends no end-of-text token, which the model pools on: these are other weights")

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._engine.loop

    def is_alive(self) -> bool:
        """Whether SGLang's processes are there."""
        return all(process_exists(pid) for pid in self._engine.get_all_child_pids())

    async def tokenize(self, request: EmbeddingRequest) -> list[list[int]]:
        """Token IDs of each input, ending in the token that the model pools on. Raises ApiError for one too long."""
        if isinstance(request.inputs[0], str):
            # The tokenizer is Rust and lets go of the interpreter's lock.
            encoded = await asyncio.to_thread(self._tokenizer, request.inputs)
            items = encoded["input_ids"]
        else:
            items = request.inputs
        items = [ids if ids[-1] == self._end else [*ids, self._end] for ids in items]
        for index, ids in enumerate(items):
            check_length(len(ids), request.param(index), self._settings)
        return items

    async def embed(self, items: list[list[int]], dimensions: int) -> Vectors:
        """Embed in parts that SGLang takes at once, in order."""
        parts = [await self._embed_part(part) for part in self._parts(items)]
        vectors = np.concatenate(parts)[:, :dimensions]
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def _parts(self, items: list[list[int]]) -> list[list[list[int]]]:
        parts: list[list[list[int]]] = [[]]
        tokens = 0
        for ids in items:
            if parts[-1] and tokens + len(ids) > self._settings.max_batch_tokens:
                parts.append([])
                tokens = 0
            parts[-1].append(ids)
            tokens += len(ids)
        return parts

    async def _embed_part(self, items: list[list[int]]) -> Vectors:
        from sglang.srt.managers.io_struct import EmbeddingReqInput

        request = EmbeddingReqInput(input_ids=items)
        try:
            answer = await anext(self._manager.generate_request(request, None))
        except asyncio.CancelledError:
            # The client is gone: nobody waits for these any more.
            with contextlib.suppress(Exception):
                for rid in request.rid:
                    self._manager.abort_request(rid)
            raise
        return np.array([each["embedding"] for each in answer], dtype=np.float32)

    def shutdown(self) -> None:
        self._engine.shutdown()


def process_exists(pid: int) -> bool:
    """Whether a child runs; a child that has ended and was not waited for does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False
