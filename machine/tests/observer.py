"""Inside a worker's process: writes how much memory admission has reserved, and how long the event loop was held."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STEP_SECONDS = 0.02
BEAT_SECONDS = 0.005


class Observer:
    """Follows the one App of this process. It works with any version of the worker that has admission."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._admission: Any = None
        self._reserved = 0
        self._held = 0.0

    def start(self) -> None:
        threading.Thread(target=self._observe, daemon=True).start()

    def _observe(self) -> None:
        while not hasattr(module := sys.modules.get("qwen3.worker.app"), "App"):
            time.sleep(0.1)
        self._follow(module)
        with self._path.open("w", buffering=1) as file:
            while True:
                file.write(f"{time.monotonic()} {self._reserved} {self._held}\n")
                self._reserved, self._held = self._now(), 0.0
                time.sleep(STEP_SECONDS)

    def _follow(self, module: Any) -> None:
        create: Callable[..., None] = module.App.__init__

        def created(app: Any, *args: Any) -> None:
            create(app, *args)
            self._admission = app._admission
            add: Callable[..., None] = app._admission._add

            def added(*args: Any) -> None:
                add(*args)
                self._reserved = max(self._reserved, self._now())

            app._admission._add = added
            asyncio.get_running_loop().create_task(self._beat())

        module.App.__init__ = created

    def _now(self) -> int:
        return int(self._admission._all.size) if self._admission else 0

    async def _beat(self) -> None:
        """Processor time of the event loop's thread between two beats: at least the longest that it was held."""
        while True:
            begin = time.thread_time()
            await asyncio.sleep(BEAT_SECONDS)
            self._held = max(self._held, time.thread_time() - begin)


class Observed:
    """Outside, in the test: what a worker's process uses more than at `begin`, and its peaks since `reset_peaks`."""

    def __init__(self, pid: int, path: Path) -> None:
        self._process = Path(f"/proc/{pid}")
        self._path = path

    def begin(self) -> None:
        """What the process uses now is not counted."""
        self._rss = self.memory("VmRSS")

    def reset_peaks(self) -> None:
        (self._process / "clear_refs").write_text("5")
        self._from = time.monotonic()

    def memory(self, name: str) -> int:
        """VmRSS, or VmHWM for its peak, in bytes."""
        lines = (self._process / "status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))

    @property
    def grown(self) -> int:
        """Bytes by which the memory has been more than at the beginning, at most."""
        return self.memory("VmHWM") - self._rss

    @property
    def kept(self) -> int:
        """Bytes by which it is more now."""
        return self.memory("VmRSS") - self._rss

    def peaks(self) -> tuple[int, float]:
        """Bytes reserved at a time, and processor seconds for which the event loop was held."""
        rows = [line.split() for line in self._path.read_text().splitlines()[:-1]]
        since = [(int(reserved), float(held)) for at, reserved, held in rows if float(at) >= self._from]
        return max(reserved for reserved, _ in since), max(held for _, held in since)


def observe(folder: str) -> None:
    """Called in every process of a worker: one file for each."""
    Observer(Path(folder) / f"{os.getpid()}.figures").start()
