"""SGLang's engine: its arguments, and embeddings from token IDs.

SGLang has no types: its arguments and objects are `Any`, here and in qwen3.tune only.
"""

import asyncio
import contextlib
import gc
import os
import signal
import struct
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..contract import CONTEXT_MARGIN
from ..settings import Settings
from .fair_queue import FairQueue
from .items import Tokens
from .response import Vectors
from .work import Work

PASS_COST = 4096
"""Tokens of one pass: a large batch enters the engine in parts, with other work in between."""
ENGINE_COST = 16384
"""Tokens in the engine at a time: one prefill batch that is computed and one that waits. Others wait for both."""
ITEM_COST = 64
"""Minimum number of tokens that an item counts as: its vector costs SGLang a list of 2,560 Python floats."""
NONE: Mapping[str, Any] = {}


def arguments(settings: Settings) -> dict[str, Any]:
    """The arguments of sglang.Engine. All others have SGLang's defaults."""
    shared = {
        "model_path": str(settings.model_path),
        "served_model_name": settings.served_model,
        "is_embedding": True,
        "trust_remote_code": False,
        # TpModelWorker.get_worker_info and validate_input_length subtract the margin.
        "context_length": settings.context_length + CONTEXT_MARGIN,
        "mem_fraction_static": settings.mem_fraction_static,
        "max_total_tokens": settings.max_total_tokens,
        # The worker tokenizes, so vectors come directly from the scheduler, not through the detokenizer.
        "skip_tokenizer_init": True,
        # An embedding is never continued, so a cache of prefixes has no benefit, and its timing would reveal clients'
        # texts to each other.
        "disable_radix_cache": True,
        # Otherwise an idle scheduler would spin on a core.
        "sleep_on_idle": True,
        # Python collects garbage by the number of new objects: with the default of 700, constantly under load.
        "gc_threshold": [20_000, 20, 20],
        "random_seed": 0,
        "log_level": "warning",
    }
    return shared | (cpu_arguments(settings) if settings.accelerator == "cpu" else {"device": "cuda"})


def cpu_arguments(settings: Settings) -> dict[str, Any]:
    """For trying the stack without a GPU."""
    return {
        "device": "cpu",
        "attention_backend": "torch_native",
        # Most CPUs compute bfloat16 several times slower.
        "dtype": "float32",
        # Otherwise SGLang would use a fraction of the instance's whole memory.
        "max_total_tokens": settings.max_total_tokens or 2 * (settings.context_length + CONTEXT_MARGIN),
    }


def prepare_environment(rendezvous: str) -> None:
    """Must run before SGLang is imported. Its child processes inherit the variables.

    rendezvous: an empty folder of this engine
    """
    # Otherwise torch.distributed, of which the scheduler is the only process, listens on every address of the instance,
    # for anyone, whatever address it is given.
    os.environ["SGLANG_DISTRIBUTED_INIT_METHOD_OVERRIDE"] = f"file://{rendezvous}/store"
    # The weights are on disk and verified; nothing may be downloaded.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_OFFLINE"] = "1"


def sglang_engine() -> Any:
    """SGLang's Engine without its detokenizer process.

    The worker tokenizes, and vectors come straight from the scheduler: the process would do nothing, for more than a
    gigabyte of memory and a third of the CPU time of a start.
    """
    from sglang.srt.entrypoints.engine import Engine as SGLang

    class WithoutDetokenizer(SGLang):  # type: ignore[misc]
        @classmethod
        def _launch_detokenizer_subprocesses(cls, **_: object) -> tuple[list[Any], list[str]]:
            """Returns processes and their names, for SGLang's own watchdog."""
            return [], []

    return WithoutDetokenizer


class Engine:
    """The engine in this process, its scheduler in another. Created in the main thread: SGLang sets signal handlers."""

    def __init__(
        self,
        settings: Settings,
        changes: Mapping[str, Any] = NONE,
        pass_cost: int = PASS_COST,
        engine_cost: int = ENGINE_COST,
    ) -> None:
        """Returns once the weights are loaded. Exits if the model or its memory does not fit the settings.

        changes: of SGLang's arguments; like the costs, for qwen3.tune
        """
        # Removed with this object.
        self._rendezvous = tempfile.TemporaryDirectory(prefix="qwen3-")
        prepare_environment(self._rendezvous.name)
        self._sglang = sglang_engine()(**{**arguments(settings), **changes})
        self._manager = self._sglang.tokenizer_manager
        self._pass_cost = pass_cost
        self._queue = FairQueue(engine_cost)
        self._engine_cost = engine_cost
        self.work = Work(engine_cost)
        self._dimensions = settings.dimensions
        self._pack = struct.Struct(f"<{settings.dimensions}f").pack
        self.loop: asyncio.AbstractEventLoop = self._sglang.loop
        self._check(settings)

    def _check(self, settings: Settings) -> None:
        hidden = self._manager.model_config.hidden_size
        if hidden != settings.dimensions:
            raise SystemExit(
                f"QWEN3_DIMENSIONS is {settings.dimensions}; allowed: {hidden}, which the model in "
                f"{settings.model_path} has"
            )
        longest = self._manager.max_req_input_len - 1
        if longest < settings.context_length:
            raise SystemExit(
                f"QWEN3_CONTEXT_LENGTH is {settings.context_length}; allowed: up to {longest}, for which the KV pool "
                "has room; QWEN3_MEM_FRACTION_STATIC and QWEN3_MAX_TOTAL_TOKENS set its size"
            )

    @property
    def vocabulary(self) -> int:
        """Rows of the model's embedding: token IDs are below it."""
        return int(self._manager.model_config.vocab_size)

    async def embed(self, client: str, items: Sequence[Tokens], request: Hashable) -> Vectors:
        """Vectors of checked items, shape [items, dimensions], in order.

        request: the same for all items of one request, for the fair queue

        If cancelled, it aborts what is not computed yet. Raises RuntimeError if SGLang returns anything else.
        """
        vectors = np.empty((len(items), self._dimensions), dtype=np.float32)
        async with asyncio.TaskGroup() as group:
            for rows, cost in passes(items, self._pass_cost):
                group.create_task(self._pass(client, request, items, rows, cost, vectors))
        return vectors

    async def _pass(
        self, client: str, request: Hashable, items: Sequence[Tokens], rows: slice, cost: int, vectors: Vectors
    ) -> None:
        async with contextlib.AsyncExitStack() as place:
            with self.work.wait(cost):
                await place.enter_async_context(self._queue.enter(client, request, cost))
            with self.work.compute(cost):
                vectors[rows] = await self._compute(items[rows])

    async def _compute(self, items: Sequence[Tokens]) -> Vectors:
        """Unit vectors from SGLang, shape [items, dimensions]."""
        from sglang.srt.managers.io_struct import EmbeddingReqInput

        # Without explicit IDs: SGLang aborts by the beginning of an ID, so one client's could abort another's.
        request = EmbeddingReqInput(input_ids=[item.tolist() for item in items])
        results: AsyncGenerator[list[dict[str, Any]], None] = self._manager.generate_request(request, None)
        outputs = await anext(results)
        await results.aclose()
        for output in outputs:
            reason = output["meta_info"].get("finish_reason") or {}
            if reason.get("type") == "abort" or len(output.get("embedding", ())) != self._dimensions:
                raise RuntimeError(f"SGLang returned no vector: {reason.get('type')} {reason.get('status_code')}")
        vectors = np.frombuffer(
            # Five times as fast as numpy's conversion from lists.
            b"".join(self._pack(*output["embedding"]) for output in outputs),
            dtype="<f4",
        ).reshape(len(outputs), self._dimensions)
        # SGLang normalises in the model's precision, in bfloat16 to within 0.4 %.
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and (lengths > 0).all()):
            raise RuntimeError("SGLang returned a vector without a direction")
        unit: Vectors = vectors / lengths
        return unit

    async def settle(self) -> None:
        """Call after the first embedding: excludes the million objects that exist then from garbage collection.

        Otherwise a collection would stop each of SGLang's processes for half a second every few seconds under load.
        """
        gc.collect()
        await self._manager.freeze_gc()

    async def probe(self, item: Tokens) -> None:
        """One embedding, bypassing the fair queue. Raises RuntimeError if the result is not a vector."""
        await self._compute([item])

    async def pace(self, item: Tokens, seconds: float = 5.0, clock: Callable[[], float] = time.monotonic) -> float:
        """Tokens per second of the engine at its best, measured with texts as long as `item`, for about `seconds`.

        Every round has twice as many texts, up to what the engine holds. The best one counts: others compile kernels.
        """
        best, count, begin = 0.0, 1, clock()
        while True:
            round_begin = clock()
            await self.embed("", [item] * count, object())
            best = max(best, count * len(item) / max(clock() - round_begin, 1e-6))
            # Twice what the engine holds, so that it does not run dry at the end of a pass.
            if clock() - begin >= seconds or count * len(item) >= 2 * self._engine_cost:
                return best
            count *= 2

    async def responds(self, item: Tokens, lately: float, patience: float) -> bool:
        """Whether SGLang has returned something in the last `lately` seconds, or returns a probe within `patience`."""
        # SGLang's timestamp is wall-clock time; a jump costs one probe.
        if 0 <= time.time() - self._manager.last_receive_tstamp < lately:
            return True
        try:
            async with asyncio.timeout(patience):
                await self.probe(item)
            return True
        except (TimeoutError, RuntimeError):
            return False

    def watch(self, ended: Callable[[str], None]) -> None:
        """Calls `ended` with a reason as soon as one of SGLang's processes ends or reports an error.

        Replaces SGLang's signal handlers, which drain and exit by themselves. Call it after the first embedding, which
        sets them.
        """
        self.loop.remove_signal_handler(signal.SIGTERM)
        self.loop.add_signal_handler(signal.SIGQUIT, ended, "one of SGLang's processes reported an error")
        for pid in self._sglang.get_all_child_pids():
            self.loop.add_reader(os.pidfd_open(pid), ended, f"SGLang's process {pid} ended")

    def kill(self) -> None:
        """Ends SGLang's processes immediately, for a worker that cannot continue."""
        for pid in self._sglang.get_all_child_pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def shutdown(self) -> None:
        """Ends SGLang's processes and waits until they release the GPU."""
        self._sglang.shutdown()


def passes(items: Sequence[Tokens], most: int = PASS_COST) -> Iterator[tuple[slice, int]]:
    """Items in order, in parts of a limited cost in tokens. An item that costs more is a part of its own."""
    begin, total = 0, 0
    for index, item in enumerate(items):
        cost = max(len(item), ITEM_COST)
        if index > begin and total + cost > most:
            yield slice(begin, index), total
            begin, total = index, 0
        total += cost
    yield slice(begin, len(items)), total
