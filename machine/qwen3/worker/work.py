"""What a worker's engine has computed and has waiting, in tokens, for qwen3-utilization."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

FULL = 0.75
"""Share of the engine's capacity from which it counts as saturated: what one client can hold at most."""


@dataclass
class Work:
    """Counts tokens as passes wait, enter the engine and leave it. Every call takes a microsecond or two."""

    capacity: int
    """Tokens in the engine at a time."""
    clock: Callable[[], float] = time.monotonic
    waiting: int = 0
    """Tokens of the passes that wait for the engine now."""
    computing: int = 0
    """Tokens of the passes in the engine now."""
    done: int = 0
    """Tokens computed since the start."""
    waiting_seconds: float = 0.0
    """The integral of `waiting` over time."""
    saturated_seconds: float = 0.0
    """The time in which passes waited, or the engine was full."""
    saturated_done: int = 0
    """Of `done`, in that time."""
    started: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self._at = self.clock()

    @property
    def saturated(self) -> bool:
        return self.waiting > 0 or self.computing >= FULL * self.capacity

    @contextmanager
    def wait(self, cost: int) -> Iterator[None]:
        """While a pass waits."""
        self._change(waiting=cost)
        try:
            yield
        finally:
            self._change(waiting=-cost)

    @contextmanager
    def compute(self, cost: int) -> Iterator[None]:
        """While the engine computes a pass, which counts as done unless it fails."""
        self._change(computing=cost)
        try:
            yield
        except BaseException:
            self._change(computing=-cost)
            raise
        self._advance()
        self.done += cost
        self.saturated_done += cost if self.saturated else 0
        self.computing -= cost

    def snapshot(self, pace: float) -> dict[str, float]:
        """What the file of a worker contains. `pace`: tokens per second that the engine has shown at the start."""
        self._advance()
        return {
            "started": self.started,
            "at": self._at,
            "done": self.done,
            "waiting_seconds": self.waiting_seconds,
            "saturated_seconds": self.saturated_seconds,
            "saturated_done": self.saturated_done,
            "pace": pace,
        }

    def _change(self, waiting: int = 0, computing: int = 0) -> None:
        self._advance()
        self.waiting += waiting
        self.computing += computing

    def _advance(self) -> None:
        now = self.clock()
        passed, self._at = now - self._at, now
        self.waiting_seconds += passed * self.waiting
        self.saturated_seconds += passed if self.saturated else 0.0
