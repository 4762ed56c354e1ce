"""Arguments to measure."""

import json
from dataclasses import dataclass, field

from ..settings import Settings


@dataclass(frozen=True)
class Candidate:
    name: str
    changes: dict[str, object] = field(default_factory=dict)
    """Changes of SGLang's arguments."""
    costs: dict[str, int] = field(default_factory=dict)
    """Arguments of the worker: `pass_cost` and `engine_cost` of qwen3.worker.engine.Engine."""
    copies: int = 1
    """Engines that run at the same time on one GPU, each with a KV pool for slightly more than the longest input."""

    @property
    def what(self) -> str:
        parts = [json.dumps(each) for each in (self.changes, self.costs) if each]
        return ", ".join([*parts, *([f"{self.copies} workers per GPU"] if self.copies > 1 else [])])


def whole_graphs(texts: int) -> dict[str, object]:
    return {"cuda_graph_config": {"prefill": {"backend": "full", "full_prefill_max_req": texts}}}


PRESENT = Candidate("current")
TUTORIAL = Candidate("tutorial", {"disable_radix_cache": False, "sleep_on_idle": False})
WITHOUT_POOL = {"attention_backend": "fa3", "chunked_prefill_size": -1, "prefill_only_disable_kv_cache": True}

CUDA = (
    TUTORIAL,
    *(Candidate(f"attention {name}", {"attention_backend": name}) for name in ("flashinfer", "fa3", "triton")),
    *(Candidate(f"chunk {size}", {"chunked_prefill_size": size}) for size in (2048, 4096, 8192, 16384)),
    Candidate("no chunks", {"chunked_prefill_size": -1, "max_prefill_tokens": 32768}),
    Candidate("no KV pool", WITHOUT_POOL),
    Candidate("no prefill graphs", {"disable_prefill_cuda_graph": True}),
    # Experimental in SGLang 0.5.23, by default for batches of up to 16 texts.
    *(Candidate(f"whole prefill graphs {texts}", whole_graphs(texts)) for texts in (16, 256)),
    Candidate("no overlap", {"disable_overlap_schedule": True}),
    *(Candidate(f"memory {share}", {"mem_fraction_static": share}) for share in (0.7, 0.9)),
    *(Candidate(f"pass {size}", costs={"pass_cost": size, "engine_cost": 4 * size}) for size in (2048, 8192, 16384)),
    Candidate("two workers", copies=2),
)
CPU = (
    TUTORIAL,
    Candidate("chunk 2048", {"chunked_prefill_size": 2048}),
    Candidate("no overlap", {"disable_overlap_schedule": True}),
)


def candidates(settings: Settings) -> tuple[Candidate, ...]:
    return CPU if settings.accelerator == "cpu" else CUDA
