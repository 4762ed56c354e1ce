"""Processor time of the worker's own part of a request: everything except HTTP's framing and SGLang.

    PYTHONPATH=machine QWEN3_TEST_MODEL=FOLDER VENV/bin/python bench/gateway/auth.py [--profile]

Calls the worker's ASGI app with an engine that returns immediately: key, JSON, checks, tokens, vectors to JSON, log
line. FOLDER contains a tokenizer.json and a config.json, such as local/makeRandomModel.py makes. Prints the minimum of
several rounds, which is the one that other work on the computer affects least.
"""

import asyncio
import cProfile
import json
import os
import pstats
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

KEY = "bench-key"
TEXT = "the of and to in is that it"
ROUNDS = 7


class InstantEngine:
    """Replaces qwen3.worker.engine.Engine."""

    def __init__(self, dimensions: int) -> None:
        vectors = np.random.default_rng(0).standard_normal((128, dimensions), dtype=np.float32)
        self._vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    async def embed(self, _client: str, items: list, _request: object) -> np.ndarray:
        await asyncio.sleep(0)
        return self._vectors[: len(items)]


def make_app(keys: Path):
    from qwen3.contract import DIGESTS, LOADED, MODEL_ID, SERVED_MODEL
    from qwen3.digests import Entry, digest
    from qwen3.settings import read_settings
    from qwen3.worker.app import App
    from qwen3.worker.tokens import Tokenizer

    (keys / DIGESTS).mkdir()
    (keys / DIGESTS / digest(KEY)).write_text(Entry("bench", None).text())
    (keys / LOADED).touch()
    os.environ |= {
        "QWEN3_SERVED_MODEL": SERVED_MODEL,
        "QWEN3_MODEL_ID": MODEL_ID,
        "QWEN3_MODEL_PATH": os.environ["QWEN3_TEST_MODEL"],
        "QWEN3_ACCELERATOR": "cpu",
        "QWEN3_KEYS_DIR": str(keys),
    }
    settings = read_settings()
    vocabulary = json.loads((settings.model_path / "config.json").read_text())["vocab_size"]
    tokenizer = Tokenizer(settings.model_path, vocabulary, settings.context_length)
    return App(settings, InstantEngine(settings.dimensions), tokenizer)


def request_body(texts: int, encoding: str) -> bytes:
    value = TEXT if texts == 1 else [TEXT] * texts
    return json.dumps({"model": "Qwen3-Embedding-4B", "input": value, "encoding_format": encoding}).encode()


async def ask(app, body: bytes) -> int:
    """The status of one request, without a socket."""
    waiting = [{"type": "http.request", "body": body}]
    statuses: list[int] = []

    async def receive():
        if waiting:
            return waiting.pop()
        await asyncio.Event().wait()

    async def send(message):
        statuses.append(message.get("status", 0))

    headers = {
        "host": "bench",
        "authorization": f"Bearer {KEY}",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "x-request-id": "bench",
    }
    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    await app({"type": "http", "method": "POST", "raw_path": b"/v1/embeddings", "headers": lines}, receive, send)
    return statuses[0]


async def cost(app, body: bytes, count: int) -> float:
    """Milliseconds of processor time per request."""
    begin = time.process_time()
    for _ in range(count):
        status = await ask(app, body)
        if status != 200:
            sys.exit(f"the app returned {status}")
    return 1000 * (time.process_time() - begin) / count


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as null:
        app = make_app(Path(folder))
        out, sys.stdout = sys.stdout, null  # the log lines
        for texts, encoding, count in ((1, "float", 500), (1, "base64", 500), (128, "float", 15), (128, "base64", 30)):
            body = request_body(texts, encoding)
            least = min(asyncio.run(cost(app, body, count)) for _ in range(ROUNDS))
            print(f"{texts:4} {encoding:7} {least:8.3f} ms", file=out, flush=True)
        if "--profile" in sys.argv:
            profile = cProfile.Profile()
            profile.runcall(asyncio.run, cost(app, request_body(1, "float"), 2000))
            pstats.Stats(profile, stream=out).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
