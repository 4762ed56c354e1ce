"""A table of the figures, and which arguments to use."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from .candidates import Candidate
from .figures import Figures, median

LEAST_GAIN = 1.02


@dataclass
class Result:
    candidate: Candidate
    figures: Figures | None
    problem: str = ""

    def rounded(self) -> Figures:
        return {kind: [round(value, 1) for value in values] for kind, values in (self.figures or {}).items()}

    def gains(self, present: Figures) -> dict[str, float]:
        """Relative to the current arguments; above 1 is faster."""
        assert self.figures is not None
        ratios = {kind: median(self.figures, kind) / median(present, kind) for kind in present}
        return ratios | {"single": 1 / ratios["single"]}


def report(results: Sequence[Result]) -> str:
    first, last = results[0], results[-1]
    if first.figures is None or last.figures is None:
        return f"The current arguments cannot be measured: the engine {first.problem or last.problem}."
    present = {kind: [*values, *last.figures[kind]] for kind, values in first.figures.items()}
    header = f"{'':24}" + "".join(f"{kind:>22}" for kind in present)
    units = f"{'':24}" + "".join(f"{'ms' if kind == 'single' else 'tokens/s':>22}" for kind in present)
    lines = [header, units]
    for result in results:
        if result.figures is None:
            lines.append(f"{result.candidate.name:24}  {result.problem}")
            continue
        gains = result.gains(present)
        cells = (
            f"{median(result.figures, kind):,.{1 if kind == 'single' else 0}f} (×{gains[kind]:.2f})" for kind in present
        )
        lines.append(f"{result.candidate.name:24}" + "".join(f"{cell:>22}" for cell in cells))
    return "\n".join([*lines, "", *advice(present, [each for each in results[1:-1] if each.figures])])


def advice(present: Figures, others: Sequence[Result]) -> list[str]:
    """Candidates that are faster for some traffic in every round, and slower for none, not even within the noise."""
    better: list[tuple[float, str]] = []
    undecided: list[str] = []
    for other in others:
        gains = other.gains(present)
        faster = [kind for kind in present if gains[kind] > LEAST_GAIN and apart(other.figures or {}, present, kind)]
        slower = [kind for kind in present if gains[kind] < 1 / LEAST_GAIN]
        if faster and not slower:
            better.append(
                (statistics.geometric_mean(gains.values()), f"{other.candidate.name}: {other.candidate.what}")
            )
        elif faster and not any(apart(present, other.figures or {}, kind) for kind in slower):
            undecided.append(
                f"  {other.candidate.name}: faster for {', '.join(faster)}; for {', '.join(slower)} undecided"
            )
    if better:
        lines = [
            "Faster for some traffic and slower for none, best first:",
            *(f"  ×{gain:.2f}  {name}" for gain, name in sorted(better, reverse=True)),
            "The setting memFractionStatic is mem_fraction_static; the others are in qwen3/worker/engine.py.",
        ]
    else:
        lines = ["Keep the current arguments: no candidate is faster for some traffic and slower for none."]
    if undecided:
        lines += ["Longer rounds, --seconds, would decide:", *undecided]
    return lines


def apart(faster: Figures, slower: Figures, kind: str) -> bool:
    """Whether every round of the first is faster than every round of the second."""
    if kind == "single":
        return max(faster[kind]) < min(slower[kind])
    return min(faster[kind]) > max(slower[kind])
