"""What Python's garbage collection costs a worker: with Python's defaults, with loaded objects excluded, and currently.

    PYTHONPATH=machine:machine/cpu python bench/gateway/garbage.py MODEL

MODEL is a folder such as local/makeRandomModel.py makes. Two clients request 128 texts of four tokens each at a time,
so that the CPU has little else to do. The variants are measured in alternation, each with its own engine. Prints
requests and latencies of each round, and the ratio of the requests.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from qwen3.contract import MODEL_ID, SERVED_MODEL
from qwen3.settings import read_settings
from qwen3.tune.engines import engine_process, read_line
from qwen3.tune.traffic import Traffic

WAYS: dict[str, tuple[dict[str, object], bool]] = {
    "Python's defaults": ({"gc_threshold": None}, False),
    "loaded objects excluded": ({"gc_threshold": None}, True),
    "current": ({}, True),
}
LENGTHS = [4] * 128
CLIENTS = 2


def measure(way: str, seconds: float) -> None:
    """Runs in a separate process and prints the latencies in seconds."""
    from qwen3.worker.engine import Engine

    changes, settled = WAYS[way]
    engine = Engine(read_settings(), changes)
    traffic = Traffic(engine, read_settings(), seconds)
    times: list[float] = []

    async def client(number: int, end: float) -> None:
        while (begin := time.monotonic()) < end:
            await traffic.ask(f"client-{number}", LENGTHS)
            times.append(time.monotonic() - begin)

    async def run() -> None:
        await traffic.ask("warm-up", LENGTHS)
        if settled:
            await engine.settle()
        end = time.monotonic() + seconds
        await asyncio.gather(*(client(number, end) for number in range(CLIENTS)))

    engine.loop.run_until_complete(run())
    print(json.dumps(times), flush=True)
    engine.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ |= {
        "QWEN3_SERVED_MODEL": SERVED_MODEL,
        "QWEN3_MODEL_ID": MODEL_ID,
        "QWEN3_MODEL_PATH": str(options.model),
        "QWEN3_ACCELERATOR": "cpu",
        "OMP_NUM_THREADS": "1",
    }
    if options.one:
        measure(options.one, options.seconds)
        return
    requests: dict[str, list[int]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way in WAYS:
            given = ["--one", way, "--seconds", str(options.seconds)]
            command = [sys.executable, "-W", "ignore", __file__, str(options.model), *given]
            with tempfile.NamedTemporaryFile() as log, engine_process(command, Path(log.name)) as process:
                times = json.loads(read_line(process, "[") or sys.exit(Path(log.name).read_text()[-2000:]))
            requests[way].append(len(times))
            cuts = statistics.quantiles(times, n=20)
            print(f"{way:24} {len(times):4} requests, p50 {1000 * cuts[9]:4.0f} ms, p95 {1000 * cuts[18]:4.0f} ms", flush=True)
    first, *_ = requests.values()
    for way, counts in requests.items():
        ratios = [count / before for count, before in zip(counts, first)]
        print(f"{way:24} ×{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) of the requests")


if __name__ == "__main__":
    main()
