"""The worker's app over HTTP, with an engine that computes nothing."""

import asyncio
import hashlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Hashable, Sequence
from pathlib import Path
from unittest import mock

import numpy as np
from worker_client import KEY, Client, KeyFolder, Reply

from qwen3.contract import DIMENSIONS, MODEL_ID, SERVED_MODEL
from qwen3.settings import read_settings
from qwen3.worker.app import App, Embedder
from qwen3.worker.exchange import Receive, Scope, Send
from qwen3.worker.items import Tokens
from qwen3.worker.response import Vectors
from qwen3.worker.server import Server, configuration
from qwen3.worker.tokens import Tokenizer

VOCABULARY = 257
"""Dimensions of the random model that local/makeRandomModel.py writes."""
TEST_ID = b"x-test-id"


class FakeEngine:
    """Returns a random vector for each item, the same for the same tokens, once it is allowed to."""

    def __init__(self) -> None:
        self.requests = 0
        self.go_on = threading.Event()
        self.go_on.set()

    async def embed(self, _client: str, items: Sequence[Tokens], _request: Hashable) -> Vectors:
        self.requests += 1
        while not self.go_on.is_set():
            await asyncio.sleep(0.01)
        return np.array([vector(item) for item in items], dtype=np.float32)


def vector(item: Tokens) -> Vectors:
    seed = int.from_bytes(hashlib.sha256(item.tobytes()).digest()[:8], "little")
    values = np.random.default_rng(seed).standard_normal(DIMENSIONS, dtype=np.float32)
    return values / np.linalg.norm(values)


class HttpWorker(Client):
    """Serves in a thread until `end`."""

    def __init__(self, folder: Path, model: Path, engine: Embedder | None = None, **settings: str) -> None:
        """engine: a FakeEngine by default, which is `engine` then"""
        listener = socket.create_server(("127.0.0.1", 0))
        super().__init__(listener.getsockname()[1])
        self.keys = KeyFolder(folder / "keys")
        self.engine = FakeEngine()
        self._embedder = engine or self.engine
        environment = {
            "QWEN3_SERVED_MODEL": SERVED_MODEL,
            "QWEN3_MODEL_ID": MODEL_ID,
            "QWEN3_MODEL_PATH": str(model),
            "QWEN3_ACCELERATOR": "cpu",
            "QWEN3_KEYS_DIR": str(self.keys.folder),
            **settings,
        }
        with mock.patch.dict(os.environ, environment):
            self.settings = read_settings()
        self._listener = listener
        self._handled: set[bytes] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._ready.wait(20)

    async def _serve(self) -> None:
        tokenizer = Tokenizer(self.settings.model_path, VOCABULARY, self.settings.context_length)
        self.app = App(self.settings, self._embedder, tokenizer)
        self._server = Server(configuration(self._recorded, self.port))
        self._ready.set()
        await self._server.serve([self._listener])

    async def _recorded(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        finally:
            self._handled.update(value for name, value in scope["headers"] if name == TEST_ID)

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        key: str | None = KEY,
    ) -> Reply:
        """Returns once the request is logged too, which is after its response."""
        test_id = uuid.uuid4().hex
        reply = super().call(method, path, body, {**(headers or {}), TEST_ID.decode(): test_id}, key)
        while test_id.encode() not in self._handled:
            time.sleep(0.001)
        return reply

    def end(self) -> None:
        self.engine.go_on.set()
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()
