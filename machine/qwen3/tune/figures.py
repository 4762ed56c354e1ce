"""The measured figures."""

import statistics
from collections.abc import Sequence

Figures = dict[str, list[float]]
"""By kind of traffic, a figure per round: tokens per second; for `single`, milliseconds of the median request."""


def median(figures: Figures, kind: str) -> float:
    return statistics.median(figures[kind])


def combine(copies: Sequence[Figures]) -> Figures:
    """Engines that run at the same time: their rates are added, and a single request takes their mean."""
    rounds = {kind: list(zip(*(each[kind] for each in copies), strict=True)) for kind in copies[0]}
    return {
        kind: [statistics.mean(values) if kind == "single" else sum(values) for values in each]
        for kind, each in rounds.items()
    }
