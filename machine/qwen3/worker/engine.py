"""SGLang's engine: its arguments, and embeddings from token IDs."""

import asyncio
import gc
import os
import signal
import struct
import time
from collections.abc import AsyncGenerator, Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..settings import Settings
from .admission import FairQueue
from .response import Vectors
from .tokens import Tokens

CONTEXT_MARGIN = 7
"""SGLang takes inputs of up to its context length less 7 tokens (TpModelWorker.get_worker_info, validate_input_length)."""
PASS_COST = 4096
"""Tokens of one pass: a large batch goes to the engine in parts, so that others have their turn in between."""
ENGINE_COST = 16384
"""Tokens in the engine at a time: one prefill batch that computes and one that waits. Others wait for both."""
ITEM_COST = 64
"""Tokens that an item counts for at least: its vector costs SGLang a list of 2,560 Python floats."""
NONE: Mapping[str, Any] = {}


def arguments(settings: Settings) -> dict[str, Any]:
    """What sglang.Engine is started with; everything else is SGLang's default."""
    shared = {
        "model_path": str(settings.model_path),
        "served_model_name": settings.served_model,
        "is_embedding": True,
        "trust_remote_code": False,
        "context_length": settings.context_length + CONTEXT_MARGIN,
        "mem_fraction_static": settings.mem_fraction_static,
        "max_total_tokens": settings.max_total_tokens,
        # The worker tokenises, so vectors come straight from the scheduler and not by way of the detokenizer.
        "skip_tokenizer_init": True,
        # An embedding is never continued: nothing is gained by keeping prefixes, and nobody learns by time what others sent.
        "disable_radix_cache": True,
        # An idle scheduler would spin on a core.
        "sleep_on_idle": True,
        # Python's collector of cycles runs by the number of objects: under load, at the default of 700, all the time.
        "gc_threshold": [20_000, 20, 20],
        "random_seed": 0,
        "log_level": "warning",
    }
    return shared | (cpu_arguments(settings) if settings.accelerator == "cpu" else {"device": "cuda"})


def cpu_arguments(settings: Settings) -> dict[str, Any]:
    """For trying the stack out without a GPU."""
    return {
        "device": "cpu",
        "attention_backend": "torch_native",
        # Most CPUs compute bfloat16 several times slower.
        "dtype": "float32",
        # SGLang would take its share of the machine's whole memory.
        "max_total_tokens": settings.max_total_tokens or 2 * (settings.context_length + CONTEXT_MARGIN),
    }


def prepare_environment() -> None:
    """Before SGLang is imported; its child processes inherit it."""
    # The weights are on disk and verified: nothing may come from elsewhere.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_OFFLINE"] = "1"
    # Set, because the tokenizer turns its threads off in a process that has forked.
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    os.environ.setdefault("RAYON_NUM_THREADS", str(min(8, os.cpu_count() or 1)))


class Engine:
    """The engine in this process and its scheduler in another. Made in the main thread: SGLang sets signal handlers."""

    def __init__(
        self, settings: Settings, changes: Mapping[str, Any] = NONE, pass_cost: int = PASS_COST, engine_cost: int = ENGINE_COST
    ) -> None:
        """
        Returns when the weights are loaded. Exits where the model or its memory do not fit the settings.

        changes: of SGLang's arguments, for qwen3.tune, as the costs are.
        """
        prepare_environment()
        from sglang.srt.entrypoints.engine import Engine as SGLang

        self._sglang = SGLang(**arguments(settings) | changes)
        self._manager = self._sglang.tokenizer_manager
        self._pass_cost = pass_cost
        self._turns = FairQueue(engine_cost)
        self._dimensions = settings.dimensions
        self._pack = struct.Struct(f"<{settings.dimensions}f").pack
        self.loop: asyncio.AbstractEventLoop = self._sglang.loop
        self._check(settings)

    def _check(self, settings: Settings) -> None:
        hidden = self._manager.model_config.hidden_size
        if hidden != settings.dimensions:
            raise SystemExit(
                f"QWEN3_DIMENSIONS is {settings.dimensions}; allowed: {hidden}, which the model in {settings.model_path} has"
            )
        longest = self._manager.max_req_input_len - 1
        if longest < settings.context_length:
            raise SystemExit(
                f"QWEN3_CONTEXT_LENGTH is {settings.context_length}; allowed: up to {longest}, for which the KV pool has room; "
                "QWEN3_MEM_FRACTION_STATIC and QWEN3_MAX_TOTAL_TOKENS set its size"
            )

    @property
    def vocabulary(self) -> int:
        """Rows of the model's embedding: token IDs are below it."""
        return self._manager.model_config.vocab_size

    async def embed(self, client: str, items: Sequence[Tokens], request: Hashable) -> Vectors:
        """
        Vectors of full length for checked items, shape [items, dimensions], in their order. Cancelled, it takes what
        is not computed yet back out of the engine.
        """
        vectors = np.empty((len(items), self._dimensions), dtype=np.float32)
        async with asyncio.TaskGroup() as group:
            for rows, cost in passes(items, self._pass_cost):
                group.create_task(self._pass(client, request, items, rows, cost, vectors))
        return vectors

    async def _pass(
        self, client: str, request: Hashable, items: Sequence[Tokens], rows: slice, cost: int, vectors: Vectors
    ) -> None:
        async with self._turns.turn(client, request, cost):
            vectors[rows] = await self._compute(items[rows])

    async def _compute(self, items: Sequence[Tokens]) -> Vectors:
        """Unit vectors by way of SGLang, shape [items, dimensions]."""
        from sglang.srt.managers.io_struct import EmbeddingReqInput

        # SGLang names the parts itself: it aborts by the beginning of a name, so a client's names could abort others'.
        asked = EmbeddingReqInput(input_ids=[item.tolist() for item in items])
        answers: AsyncGenerator[list[dict[str, Any]], None] = self._manager.generate_request(asked, None)
        outputs = await anext(answers)
        await answers.aclose()
        for output in outputs:
            reason = output["meta_info"].get("finish_reason") or {}
            if reason.get("type") == "abort" or len(output.get("embedding", ())) != self._dimensions:
                raise RuntimeError(f"SGLang gave no vector: {reason.get('type')} {reason.get('status_code')}")
        vectors = np.frombuffer(
            # Five times as fast as numpy's own way from lists.
            b"".join(self._pack(*output["embedding"]) for output in outputs),
            dtype="<f4",
        ).reshape(len(outputs), self._dimensions)
        # SGLang normalises in the model's precision: in bfloat16 to within 0.4 %.
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and (lengths > 0).all()):
            raise RuntimeError("SGLang gave a vector that is no direction")
        return vectors / lengths

    async def settle(self) -> None:
        """
        After the first embedding: the million objects that are there by then are never looked through for garbage again,
        which would stop each of SGLang's processes for half a second every few seconds under load.
        """
        gc.collect()
        await self._manager.freeze_gc()

    async def probe(self, item: Tokens) -> None:
        """One embedding, ahead of everybody's turn. Raises RuntimeError when what comes is no vector."""
        await self._compute([item])

    async def responds(self, item: Tokens, lately: float, patience: float) -> bool:
        """Whether anything has come out of SGLang in the last seconds, or comes within those to come."""
        # SGLang's clock for this is the time of day; a jump costs one probe.
        if 0 <= time.time() - self._manager.last_receive_tstamp < lately:
            return True
        try:
            async with asyncio.timeout(patience):
                await self.probe(item)
            return True
        except (TimeoutError, RuntimeError):
            return False

    def watch(self, ended: Callable[[str], None]) -> None:
        """
        Takes SGLang's signal handlers away, which drain and exit by themselves, and calls `ended` with a reason as
        soon as one of its processes ends or reports an error. After the first embedding, which sets the handlers.
        """
        self.loop.remove_signal_handler(signal.SIGTERM)
        self.loop.add_signal_handler(signal.SIGQUIT, ended, "one of SGLang's processes reported an error")
        for pid in self._sglang.get_all_child_pids():
            self.loop.add_reader(os.pidfd_open(pid), ended, f"SGLang's process {pid} ended")

    def kill(self) -> None:
        """Ends SGLang's processes at once, for a worker that cannot go on."""
        for pid in self._sglang.get_all_child_pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def shutdown(self) -> None:
        """Ends SGLang's processes and waits for them to give the GPU back."""
        self._sglang.shutdown()


def passes(items: Sequence[Tokens], most: int = PASS_COST) -> Iterator[tuple[slice, int]]:
    """Items in order, cut into parts of a bounded cost in tokens; an item that costs more stands alone."""
    begin, total = 0, 0
    for index, item in enumerate(items):
        cost = max(len(item), ITEM_COST)
        if index > begin and total + cost > most:
            yield slice(begin, index), total
            begin, total = index, 0
        total += cost
    yield slice(begin, len(items)), total
