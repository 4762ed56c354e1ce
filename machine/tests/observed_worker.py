"""A worker in a process of its own, with an engine that computes nothing, for tests of memory and time.

    python observed_worker.py FOLDER MODEL

Prints its port, and serves until its standard input ends.
"""

import asyncio
import os
import sys
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np
from http_worker import HttpWorker
from numpy.typing import NDArray
from observer import observe
from worker_client import OTHER_KEY

from qwen3.contract import DIMENSIONS


class SlowEngine:
    """Returns the same vector for each item, after a time in which other requests arrive."""

    async def embed(self, _client: str, items: Sequence[NDArray[np.int32]], _request: Hashable) -> NDArray[np.float32]:
        vectors = np.empty((len(items), DIMENSIONS), dtype=np.float32)
        if len(items) > 1:
            await asyncio.sleep(0.5)
        for begin in range(0, len(items), 64):
            # In parts, as the engine's passes: the event loop is not held by this.
            vectors[begin : begin + 64] = DIMENSIONS**-0.5
            await asyncio.sleep(0)
        return vectors


def main(folder: Path, model: Path) -> None:
    observe(str(folder))
    worker = HttpWorker(folder, model, SlowEngine())
    worker.keys.put(OTHER_KEY, "other")
    print(worker.port, flush=True)
    with open(os.devnull, "w") as null:
        # One line per request, which nobody reads.
        sys.stdout = null
        sys.stdin.read()
        worker.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
