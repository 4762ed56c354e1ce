"""The routes, and one log line per request."""

import asyncio
import json
import logging
import re
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from typing import Protocol

import orjson

from ..contract import EMBEDDINGS, HEALTH, LONGEST_ANSWER_SECONDS, METHOD_NOT_ALLOWED, MODELS, NOT_FOUND, Route
from ..settings import Settings
from .admission import Admission, Reservation
from .auth import Authenticator
from .body import WHOLE_BYTES
from .cost import of_body, of_request, of_tokens
from .errors import ApiError, api_error
from .exchange import ClientDisconnected, Exchange, Receive, Scope, Send
from .fair_queue import FairQueue
from .items import Tokens
from .memory import FreeMemory
from .redact import known_param, trace
from .request import read_request
from .response import PIECE, Vectors, pieces, shorten
from .threads import FairThreads
from .tokenizing import Tokenizing
from .tokens import Tokenizer

log = logging.getLogger(__name__)

HELD_BYTES = 1 << 30
"""Memory for requests in progress."""
INLINE_BYTES = 4096
"""Longer bodies are read in a thread, one at a time: not the JSON but the worst that it may be would hold the loop."""
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

NONE: Mapping[str, str] = {}


class Embedder(Protocol):
    """What the app needs of `engine.Engine`."""

    async def embed(self, client: str, items: Sequence[Tokens], request: Hashable) -> Vectors: ...


class App:
    """POST /v1/embeddings, GET /v1/models, GET /health, and no other route, by exact path."""

    def __init__(self, settings: Settings, engine: Embedder, tokenizer: Tokenizer) -> None:
        self.draining = False
        self._settings = settings
        self._engine = engine
        self._tokenizing = Tokenizing(tokenizer)
        self._auth = Authenticator(settings.keys)
        self._admission = Admission(settings.max_queued_requests, HELD_BYTES)
        self._writer = FairQueue(1)
        self._free_memory = FreeMemory()
        self._models = models(settings)
        # Two, so that short bodies do not wait for long ones.
        self._reader, self._long_reader = FairThreads(1), FairThreads(1)
        handlers: list[tuple[Route, Callable[[Exchange], Awaitable[None]]]] = [
            (EMBEDDINGS, self._embeddings),
            (MODELS, self._list_models),
            (HEALTH, self._health),
        ]
        self._routes = {route.path.encode(): (route.method, handler) for route, handler in handlers}
        self._methods = {route.method for route, _ in handlers}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begin = time.monotonic()
        exchange = Exchange(scope, receive, send)
        given = exchange.header(b"x-request-id") or ""
        exchange.request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        try:
            await self._route(exchange)
        except ApiError as error:
            exchange.param = error.param
            await self._respond(exchange, error.status, error.body(), error.headers)
        except ClientDisconnected:
            exchange.status = 499
        except Exception as error:
            log.error("request %s failed\n%s", exchange.request_id, trace(error))
            failure = ApiError(500, "The server had an error while processing the request.", "server_error")
            await self._respond(exchange, failure.status, failure.body())
        finally:
            self._log(exchange, time.monotonic() - begin)

    async def _route(self, exchange: Exchange) -> None:
        # The path as sent: with a decoded path, a route would have several names.
        route = self._routes.get(exchange.scope["raw_path"])
        if route is None:
            raise api_error(NOT_FOUND)
        method, handler = route
        if exchange.scope["method"] != method:
            raise api_error(METHOD_NOT_ALLOWED, headers={"Allow": method})
        await handler(exchange)

    async def _health(self, exchange: Exchange) -> None:
        """The worker listens once it has computed an embedding, and is ready until it drains."""
        status, word = (503, b"stopping") if self.draining else (200, b"ready")
        await self._respond(exchange, status, b'{"status":"%b"}' % word)

    async def _list_models(self, exchange: Exchange) -> None:
        exchange.client = self._auth.client_of(exchange.scope["headers"])
        await self._respond(exchange, 200, self._models)

    async def _embeddings(self, exchange: Exchange) -> None:
        exchange.client = client = self._auth.client_of(exchange.scope["headers"])
        exchange.check_content_type()
        length = exchange.body_length(self._settings.max_body_bytes)
        with self._admission.admit(client, of_body(length)) as reservation, self._free_memory.after(reservation):
            body = await exchange.read_body(self._settings.max_body_bytes)
            work = self._embed(exchange, body, reservation)
            # Each is released as soon as the next exists: body, texts, tokens, vectors.
            del body
            count, response = await exchange.while_connected(work)
            if count == 1:
                await self._respond(exchange, 200, b"".join(response))
            elif count <= PIECE:
                await self._respond(exchange, 200, await self._write(exchange, b"".join, response))
            else:
                await self._stream(exchange, response)

    async def _embed(self, exchange: Exchange, body: bytes, reservation: Reservation) -> tuple[int, Iterator[bytes]]:
        """The number of items, and the response's body in pieces."""
        if len(body) <= INLINE_BYTES:
            request = read_request(body, self._settings)
        else:
            reader = self._reader if len(body) <= WHOLE_BYTES else self._long_reader
            request = await reader.run(reservation, read_request, body, self._settings)
        del body
        exchange.items = count = request.count
        reservation.resize(of_request(request, self._settings))
        items = await self._tokenizing.tokens(request, reservation)
        exchange.tokens = tokens = sum(map(len, items))
        dimensions, as_base64 = request.dimensions, request.base64
        del request
        reservation.resize(of_tokens(tokens, count, dimensions, self._settings))
        vectors = await self._engine.embed(reservation.client, items, exchange)
        return count, pieces(shorten(vectors, dimensions), as_base64, self._settings.served_model, tokens)

    async def _respond(self, exchange: Exchange, status: int, body: bytes, headers: Mapping[str, str] = NONE) -> None:
        exchange.status = status
        lines = self._headers(status, {"Content-Length": str(len(body)), **headers})
        await exchange.send({"type": "http.response.start", "status": status, "headers": lines})
        await exchange.send({"type": "http.response.body", "body": body})

    async def _stream(self, exchange: Exchange, body: Iterator[bytes]) -> None:
        """Sends a long body in pieces, at the client's pace. Raises ClientDisconnected if that takes too long."""
        exchange.status = 200
        try:
            # nginx stops earlier for a client that stalls.
            async with asyncio.timeout(LONGEST_ANSWER_SECONDS):
                await exchange.send({"type": "http.response.start", "status": 200, "headers": self._headers(200, NONE)})
                while piece := await self._write(exchange, lambda rest: next(rest, b""), body):
                    await exchange.send({"type": "http.response.body", "body": piece, "more_body": True})
                await exchange.send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            raise ClientDisconnected from None

    async def _write(
        self, exchange: Exchange, write: Callable[[Iterator[bytes]], bytes], body: Iterator[bytes]
    ) -> bytes:
        """The result of `write`, which takes a millisecond, when it is this request's turn.

        One pass of the event loop writes for one request: those that are computed together would hold it for long.
        """
        async with self._writer.enter(str(exchange.client), exchange, 1):
            written = write(body)
            await asyncio.sleep(0)
            return written

    def _headers(self, status: int, more: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        headers = {"Content-Type": "application/json", **more}
        if self.draining or status in (408, 413):
            # nginx then uses another worker, and no client keeps sending a body that is not read.
            headers["Connection"] = "close"
        return [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    def _log(self, exchange: Exchange, seconds: float) -> None:
        path = exchange.scope["raw_path"]
        if path == HEALTH.path.encode() and exchange.status == 200:
            return
        line = {
            "request_id": exchange.request_id,
            "client": exchange.client,
            "method": exchange.scope["method"] if exchange.scope["method"] in self._methods else "other",
            "path": path.decode() if path in self._routes else "other",
            "status": exchange.status,
            "param": known_param(exchange.param),
            "items": exchange.items,
            "tokens": exchange.tokens,
            "ms": round(1000 * seconds, 1),
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def models(settings: Settings) -> bytes:
    model = {
        "id": settings.served_model,
        "object": "model",
        "created": int((settings.model_path / "config.json").stat().st_mtime),
        "owned_by": settings.model_id.partition("/")[0],
        "max_model_len": settings.context_length,
    }
    return orjson.dumps({"object": "list", "data": [model]})
