"""qwen3-tune: which of SGLang's arguments are fast on this machine's hardware, by real traffic.

Starts the worker's engine anew for each candidate, on one GPU, and asks it as clients do:

  bulk    two clients, each 128 texts of 512 tokens a request
  mixed   the same with lengths from 16 to 2,048 tokens, as documents have them
  short   eight clients, each 128 texts of 32 tokens a request
  single  one client, one text of 32 tokens a request

On a CPU a request has 8 texts instead of 128.

The engine's present arguments are measured first and last, and their rounds are the machine's own noise: a candidate is
faster where its worst round is better than their best. Prints a table, and what to keep. What SGLang wrote stands in
~/tune, a file a candidate.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .settings import Settings, read_settings

START_SECONDS = 900
"""For one engine to load the weights and to compile its kernels, the first time."""
LEAST_GAIN = 1.02
SPARE_TOKENS = 4096
"""Beyond one longest text, so that a short one can be prefilled beside it."""
ROUNDS = 3
"""Of each kind of traffic; the median counts."""


@dataclass(frozen=True)
class Candidate:
    name: str
    changes: dict[str, Any] = field(default_factory=dict)
    """Of SGLang's arguments."""
    costs: dict[str, int] = field(default_factory=dict)
    """Of the worker's own: `pass_cost` and `engine_cost` of qwen3.worker.engine.Engine."""
    copies: int = 1
    """Engines at a time on one GPU, each with a KV pool for one longest text and a little more."""

    @property
    def what(self) -> str:
        said = [json.dumps(each) for each in (self.changes, self.costs) if each]
        return ", ".join([*said, *([f"{self.copies} workers a GPU"] if self.copies > 1 else [])])


def whole_graphs(texts: int) -> dict[str, Any]:
    return {"cuda_graph_config": {"prefill": {"backend": "full", "full_prefill_max_req": texts}}}


PRESENT = Candidate("present")
TUTORIAL = Candidate("tutorial", {"disable_radix_cache": False, "sleep_on_idle": False})
WITHOUT_POOL = {"attention_backend": "fa3", "chunked_prefill_size": -1, "prefill_only_disable_kv_cache": True}

CUDA = (
    TUTORIAL,
    *(Candidate(f"attention {name}", {"attention_backend": name}) for name in ("flashinfer", "fa3", "triton")),
    *(Candidate(f"chunk {size}", {"chunked_prefill_size": size}) for size in (2048, 4096, 8192, 16384)),
    Candidate("no chunks", {"chunked_prefill_size": -1, "max_prefill_tokens": 32768}),
    Candidate("no KV pool", WITHOUT_POOL),
    Candidate("no prefill graphs", {"disable_prefill_cuda_graph": True}),
    # Experimental in SGLang 0.5.23; by default for batches of up to 16 texts.
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


def main() -> None:
    options = parse()
    settings = read_settings()
    # A stop ends what was started, too.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    if options.one is not None:
        measure_one(settings, json.loads(options.one), options.seconds)
        return
    chosen = [each for each in candidates(settings) if not options.candidates or each.name in options.candidates]
    if unknown := set(options.candidates) - {each.name for each in chosen}:
        names = ", ".join(each.name for each in candidates(settings))
        sys.exit(f"--candidates has {', '.join(sorted(unknown))}; allowed: {names}")
    results: list[Result] = []
    for candidate in [PRESENT, *chosen, PRESENT]:
        print(f"{candidate.name} …", file=sys.stderr, flush=True)
        result = Result(candidate, *measure(settings, candidate, options.seconds))
        results.append(result)
        # So that a measurement that is cut short has said what it found.
        print(f"  {result.problem or json.dumps(result.rounded())}", file=sys.stderr, flush=True)
    print(report(results))


def stop(*_: object) -> None:
    sys.exit("stopped")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("qwen3-tune", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="for each kind of traffic and round (10)")
    parser.add_argument("--candidates", type=lambda text: text.split(","), default=[], help="only these, by name")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def candidates(settings: Settings) -> tuple[Candidate, ...]:
    return CPU if settings.accelerator == "cpu" else CUDA


Figures = dict[str, list[float]]
"""By kind of traffic, a figure a round: tokens a second; for `single`, milliseconds of the median request."""


@dataclass
class Result:
    candidate: Candidate
    figures: Figures | None
    problem: str = ""

    def rounded(self) -> Figures:
        return {kind: [round(value, 1) for value in values] for kind, values in (self.figures or {}).items()}

    def gains(self, present: Figures) -> dict[str, float]:
        """Against the present arguments, above 1 is faster."""
        assert self.figures is not None
        ratios = {kind: median(self.figures, kind) / median(present, kind) for kind in present}
        return ratios | {"single": 1 / ratios["single"]}


def median(figures: Figures, kind: str) -> float:
    return statistics.median(figures[kind])


def measure(settings: Settings, candidate: Candidate, seconds: float) -> tuple[Figures | None, str]:
    """What the candidate does, or why it does not start."""
    changes = dict(candidate.changes)
    if candidate.copies > 1:
        changes["max_total_tokens"] = settings.context_length + SPARE_TOKENS
    given = json.dumps({"changes": changes, **candidate.costs})
    command = [sys.executable, "-W", "ignore", "-m", "qwen3.tune", "--one", given, "--seconds", str(seconds)]
    log = Path.home() / "tune" / f"{candidate.name.replace(' ', '-')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    with ExitStack() as stack:
        started: list[subprocess.Popen[str]] = []
        # One after the other: each sizes its memory by what is free. All are ready before the first is asked.
        for _ in range(candidate.copies):
            started.append(stack.enter_context(engine_process(command, log)))
            if not read_line(started[-1], "ready"):
                return None, f"does not start: {reason(log)}"
        for each in started:
            assert each.stdin is not None
            # One that has ended gives no answer either.
            with suppress(BrokenPipeError):
                each.stdin.write("go\n")
                each.stdin.flush()
        answers = [read_line(each, "{") for each in started]
    if not all(answers):
        return None, f"ended while it was measured: {reason(log)}"
    return combine([json.loads(answer) for answer in answers]), ""


def reason(log: Path) -> str:
    """The last error of a log in a line, or its last line: the worker's own errors have no name before them."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]*(?:Error|Exception)\b", line)]
    said = [*lines[-1:], *errors[-1:]]
    return f"{said[-1][:200]} ({log})" if said else f"nothing was written to {log}"


@contextmanager
def engine_process(command: list[str], log: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that is gone, with all that it started, when the block ends."""
    with log.open("a") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def read_line(process: subprocess.Popen[str], beginning: str) -> str:
    """The next line that begins so, among whatever else SGLang prints; empty when the process ends before."""
    assert process.stdout is not None
    return next((line for line in process.stdout if line.startswith(beginning)), "")


def combine(copies: Sequence[Figures]) -> Figures:
    """Engines beside each other: their rates add up, and a single request takes as long as it takes with one."""
    rounds = {kind: list(zip(*(each[kind] for each in copies))) for kind in copies[0]}
    return {
        kind: [statistics.mean(values) if kind == "single" else sum(values) for values in each]
        for kind, each in rounds.items()
    }


def measure_one(settings: Settings, given: dict[str, Any], seconds: float) -> None:
    """The child: one engine, made with these arguments. Says `ready`, waits for a line, prints its figures."""
    from .worker.engine import Engine

    signal.alarm(START_SECONDS)
    engine = Engine(settings, **given)
    traffic = Traffic(engine, settings, seconds)
    engine.loop.run_until_complete(traffic.warm_up())
    engine.loop.run_until_complete(engine.settle())
    signal.alarm(0)
    print("ready", flush=True)
    if not sys.stdin.readline():
        return  # who started this is gone
    print(json.dumps(engine.loop.run_until_complete(traffic.run())), flush=True)
    engine.shutdown()


class Traffic:
    """Texts of random tokens, no two alike, for one engine."""

    def __init__(self, engine: Any, settings: Settings, seconds: float) -> None:
        import numpy as np

        self._engine = engine
        self._seconds = seconds
        self._random = np.random.default_rng(0)
        self._longest = settings.context_length
        # A CPU takes minutes for what a GPU takes a second for.
        self._batch = 8 if settings.accelerator == "cpu" else 128
        self._requests = 0

    async def warm_up(self) -> None:
        for lengths in ([32], [32] * self._batch, self._mixed(), [512] * self._batch):
            await self.ask("warm-up", lengths)

    async def run(self) -> Figures:
        """Kinds of traffic in turns, so that a drift of the machine meets all alike."""
        figures: Figures = {"bulk": [], "mixed": [], "short": [], "single": []}
        for _ in range(ROUNDS):
            figures["bulk"].append(await self._rate(2, lambda: [512] * self._batch))
            figures["mixed"].append(await self._rate(2, self._mixed))
            figures["short"].append(await self._rate(8, lambda: [32] * self._batch))
            figures["single"].append(await self._latency())
        return figures

    def _mixed(self) -> list[int]:
        """Lengths of a batch's texts: log-normal, of 367 tokens in the mean before the bounds."""
        lengths = self._random.lognormal(5.5, 0.9, self._batch).clip(16, min(2048, self._longest))
        return [int(length) for length in lengths]

    async def _rate(self, clients: int, lengths: Any) -> float:
        """Tokens a second."""
        begin = time.monotonic()

        async def client(number: int) -> int:
            tokens = 0
            while time.monotonic() - begin < self._seconds:
                tokens += await self.ask(f"client-{number}", lengths())
            return tokens

        tokens = sum(await asyncio.gather(*map(client, range(clients))))
        return tokens / (time.monotonic() - begin)

    async def _latency(self) -> float:
        """Milliseconds of the median request."""
        times: list[float] = []
        end = time.monotonic() + self._seconds
        while time.monotonic() < end:
            begin = time.monotonic()
            await self.ask("client", [32])
            times.append(1000 * (time.monotonic() - begin))
        return statistics.median(times)

    async def ask(self, client: str, lengths: list[int]) -> int:
        """One request of texts of these lengths in tokens; answers their sum."""
        items = [self._random.integers(0, self._engine.vocabulary, length, dtype="int32") for length in lengths]
        self._requests += 1
        await self._engine.embed(client, items, self._requests)
        return sum(lengths)


def report(results: Sequence[Result]) -> str:
    first, last = results[0], results[-1]
    if first.figures is None or last.figures is None:
        return f"The present arguments cannot be measured: the engine {first.problem or last.problem}."
    present = {kind: [*values, *last.figures[kind]] for kind, values in first.figures.items()}
    header = f"{'':24}" + "".join(f"{kind:>22}" for kind in present)
    units = f"{'':24}" + "".join(f"{'ms' if kind == 'single' else 'tokens/s':>22}" for kind in present)
    lines = [header, units]
    for result in results:
        if result.figures is None:
            lines.append(f"{result.candidate.name:24}  {result.problem}")
            continue
        gains = result.gains(present)
        cells = (f"{median(result.figures, kind):,.{1 if kind == 'single' else 0}f} (×{gains[kind]:.2f})" for kind in present)
        lines.append(f"{result.candidate.name:24}" + "".join(f"{cell:>22}" for cell in cells))
    return "\n".join([*lines, "", *advice(present, [each for each in results[1:-1] if each.figures])])


def advice(present: Figures, others: Sequence[Result]) -> list[str]:
    """What to keep: what is faster for some traffic in every round, and slower for none, not even by the noise."""
    better: list[tuple[float, str]] = []
    undecided: list[str] = []
    for other in others:
        gains = other.gains(present)
        faster = [kind for kind in present if gains[kind] > LEAST_GAIN and apart(other.figures or {}, present, kind)]
        slower = [kind for kind in present if gains[kind] < 1 / LEAST_GAIN]
        if faster and not slower:
            better.append((statistics.geometric_mean(gains.values()), f"{other.candidate.name}: {other.candidate.what}"))
        elif faster and not any(apart(present, other.figures or {}, kind) for kind in slower):
            undecided.append(f"  {other.candidate.name}: faster for {', '.join(faster)}; for {', '.join(slower)} undecided")
    if better:
        lines = [
            "Faster, and slower nowhere, the best first:",
            *(f"  ×{gain:.2f}  {name}" for gain, name in sorted(better, reverse=True)),
            "The setting memFractionStatic is mem_fraction_static; the rest stands in qwen3/worker/engine.py.",
        ]
    else:
        lines = ["Keep the present arguments: nothing is faster for some traffic and slower for none."]
    if undecided:
        lines += ["Longer rounds, --seconds, would decide:", *undecided]
    return lines


def apart(faster: Figures, slower: Figures, kind: str) -> bool:
    """Whether every round of the one is faster than every round of the other."""
    if kind == "single":
        return max(faster[kind]) < min(slower[kind])
    return min(faster[kind]) > max(slower[kind])


if __name__ == "__main__":
    main()
