"""A client of a worker, and the keys that the worker accepts, for these tests and those with SGLang."""

import base64
import http.client
import json
from email.message import Message
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qwen3.contract import DIGESTS, LOADED, SERVED_MODEL
from qwen3.digests import Entry, digest

KEY = "qwe3_" + "a" * 48
OTHER_KEY = "qwe3_" + "o" * 48
"""Of the second client, in the tests that have one."""


class Reply:
    """A response, with its JSON if it has any."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers: Message = response.headers
        self.body = response.read()
        self.json: Any = json.loads(self.body) if self.body else None

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.json["error"]
        return error

    def vectors(self) -> NDArray[np.float32]:
        """Shape [items, dimensions]."""
        rows = [row["embedding"] for row in self.json["data"]]
        if isinstance(rows[0], str):
            return np.array([np.frombuffer(base64.b64decode(row), "<f4") for row in rows])
        return np.array(rows, dtype=np.float32)


class KeyFolder:
    """Writes the files of qwen3-keys, with one key of the client `default`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loaded = folder / LOADED
        (folder / DIGESTS).mkdir(parents=True)
        self.put(KEY, "default")
        self.loaded.touch()

    def put(self, key: str, client: str, not_after: float | None = None) -> Path:
        path = self.folder / DIGESTS / digest(key)
        path.write_text(Entry(client, not_after).text())
        return path


class Client:
    """Requests to a worker, each on its own connection."""

    def __init__(self, port: int) -> None:
        self.port = port

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        key: str | None = KEY,
    ) -> Reply:
        connection = self.sent(method, path, body, headers, key)
        try:
            return Reply(connection.getresponse())
        finally:
            connection.close()

    def sent(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        key: str | None = KEY,
    ) -> http.client.HTTPConnection:
        """The connection of a request whose response has not been read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        sent = {"Content-Type": "application/json"} if body is not None else {}
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        connection.request(method, path, body, sent | (headers or {}))
        return connection

    def embed(self, input: Any, key: str = KEY, **fields: Any) -> Reply:
        body = json.dumps({"model": SERVED_MODEL, "input": input, **fields}).encode()
        return self.call("POST", "/v1/embeddings", body, key=key)


def refused(reply: Reply, status: int, param: str | None = None, code: str | None = None) -> bool:
    """Whether it is this error, in OpenAI's format. Fails with the actual response otherwise."""
    assert reply.status == status, reply.body[:300]
    assert set(reply.error) == {"message", "type", "param", "code"}
    assert (reply.error["param"], reply.error["code"]) == (param, code), reply.error
    return True
