"""The routes, and one line of log a request."""

import asyncio
import json
import logging
import re
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from ..settings import Settings
from .admission import Admission, Reservation
from .response import PIECE, pieces, shorten
from .auth import Authenticator
from .engine import Engine
from .errors import ApiError
from .request import EmbeddingRequest, read_request
from .tokens import Tokeniser

log = logging.getLogger(__name__)

HELD_BYTES = 1 << 30
"""Memory for requests in progress."""
PARSED = 12
"""Memory of a request while it is read, in multiples of its body: token IDs are the worst case, measured at ten."""
LARGE_BYTES = 1 << 18
"""Bodies from here on are read one at a time, with turns for everything else in between: 8 MiB take half a second."""
BODY_SECONDS = 30.0
ANSWER_SECONDS = 300.0
"""For a reader to take a whole answer; nginx gives up sooner on one that stalls."""
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

NONE: Mapping[str, str] = {}

T = TypeVar("T")
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass(eq=False)
class Exchange:
    """One request and what is logged of it: no header, no body, no key."""

    scope: Message
    receive: Receive
    send: Send
    request_id: str
    client: str | None = None
    status: int = 500
    items: int | None = None
    tokens: int | None = None
    param: str | None = None

    def header(self, name: bytes) -> str | None:
        return next((value.decode("latin-1") for key, value in self.scope["headers"] if key == name), None)


class App:
    """POST /v1/embeddings, GET /v1/models, GET /health, and nothing else, by exact path."""

    def __init__(self, settings: Settings, engine: Engine, tokeniser: Tokeniser) -> None:
        self.draining = False
        self._settings = settings
        self._engine = engine
        self._tokeniser = tokeniser
        self._door = Authenticator(settings.keys)
        self._admission = Admission(settings.max_queued_requests, HELD_BYTES)
        self._models = models(settings)
        self._reading = asyncio.Lock()
        self._routes: dict[bytes, tuple[str, Callable[[Exchange], Awaitable[None]]]] = {
            b"/v1/embeddings": ("POST", self._embeddings),
            b"/v1/models": ("GET", self._list_models),
            b"/health": ("GET", self._health),
        }

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        begin = time.monotonic()
        exchange = Exchange(scope, receive, send, "")
        given = exchange.header(b"x-request-id") or ""
        exchange.request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        try:
            await self._route(exchange)
        except ApiError as error:
            exchange.param = error.param
            await self._respond(exchange, error.status, error.body(), error.headers)
        except Gone:
            exchange.status = 499
        except Exception:
            # The traceback names lines, not what was sent.
            log.exception("request %s failed", exchange.request_id)
            failure = ApiError(500, "The server had an error while processing the request.", "server_error")
            await self._respond(exchange, failure.status, failure.body())
        finally:
            self._log(exchange, time.monotonic() - begin)

    async def _route(self, exchange: Exchange) -> None:
        # The path as sent: decoding would give one route several names.
        route = self._routes.get(exchange.scope["raw_path"])
        if route is None:
            raise ApiError(
                404,
                "There is no such route. This server has POST /v1/embeddings, GET /v1/models and GET /health.",
                code="not_found",
            )
        method, handler = route
        if exchange.scope["method"] != method:
            raise ApiError(405, f"This route takes {method}.", code="method_not_allowed", headers={"Allow": method})
        await handler(exchange)

    async def _health(self, exchange: Exchange) -> None:
        """The worker listens once it has embedded; it is ready until it drains."""
        status, word = (503, b"stopping") if self.draining else (200, b"ready")
        await self._respond(exchange, status, b'{"status":"%b"}' % word)

    async def _list_models(self, exchange: Exchange) -> None:
        exchange.client = self._door.client(exchange.scope["headers"])
        await self._respond(exchange, 200, self._models)

    async def _embeddings(self, exchange: Exchange) -> None:
        exchange.client = client = self._door.client(exchange.scope["headers"])
        check_headers(exchange)
        length = body_length(exchange, self._settings.max_body_bytes)
        with self._admission.admit(client, PARSED * length) as reservation:
            body = await read_body(exchange, self._settings.max_body_bytes)
            request = await self._read(body)
            del body
            count, work = request.count, self._embed(exchange, request, reservation)
            # What was sent is let go as soon as it is tokenised.
            del request
            answer = await while_connected(exchange, work)
            if count <= PIECE:
                await self._respond(exchange, 200, b"".join(answer))
            else:
                await self._stream(exchange, answer)

    async def _read(self, body: bytes) -> EmbeddingRequest:
        if len(body) < LARGE_BYTES:
            return read_request(body, self._settings)
        async with self._reading:
            await asyncio.sleep(0)
            return read_request(body, self._settings)

    async def _embed(self, exchange: Exchange, request: EmbeddingRequest, reservation: Reservation) -> Iterator[bytes]:
        exchange.items = request.count
        items = await self._tokeniser.tokens(request)
        exchange.tokens = tokens = sum(map(len, items))
        dimensions, as_base64 = request.dimensions, request.base64
        del request
        reservation.resize(4 * tokens + 4 * (self._settings.dimensions + dimensions) * len(items))
        vectors = await self._engine.embed(str(exchange.client), items, exchange)
        return pieces(shorten(vectors, dimensions), as_base64, self._settings.served_model, tokens)

    async def _respond(self, exchange: Exchange, status: int, body: bytes, headers: Mapping[str, str] = NONE) -> None:
        exchange.status = status
        lines = self._headers(status, {"Content-Length": str(len(body)), **headers})
        await exchange.send({"type": "http.response.start", "status": status, "headers": lines})
        await exchange.send({"type": "http.response.body", "body": body})

    async def _stream(self, exchange: Exchange, body: Iterator[bytes]) -> None:
        """Sends a long body in pieces, at the reader's pace. Raises Gone for a reader that takes too long."""
        exchange.status = 200
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await exchange.send({"type": "http.response.start", "status": 200, "headers": self._headers(200, NONE)})
                for piece in body:
                    await exchange.send({"type": "http.response.body", "body": piece, "more_body": True})
                    # Between pieces others are served.
                    await asyncio.sleep(0)
                await exchange.send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            raise Gone from None

    def _headers(self, status: int, more: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        headers = {"Content-Type": "application/json", **more}
        if self.draining or status in (408, 413):
            # nginx then takes another worker, and nobody goes on sending a body that nobody reads.
            headers["Connection"] = "close"
        return [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    def _log(self, exchange: Exchange, seconds: float) -> None:
        path = exchange.scope["raw_path"]
        if path == b"/health" and exchange.status == 200:
            return
        line = {
            "request_id": exchange.request_id,
            "client": exchange.client,
            "method": exchange.scope["method"][:16],
            "path": path.decode() if path in self._routes else None,
            "status": exchange.status,
            "param": exchange.param,
            "items": exchange.items,
            "tokens": exchange.tokens,
            "ms": round(1000 * seconds, 1),
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


class Gone(Exception):
    """The client hung up."""


def models(settings: Settings) -> bytes:
    model = {
        "id": settings.served_model,
        "object": "model",
        "created": int((settings.model_path / "config.json").stat().st_mtime),
        "owned_by": settings.model_id.partition("/")[0],
        "max_model_len": settings.context_length,
    }
    return orjson.dumps({"object": "list", "data": [model]})


def check_headers(exchange: Exchange) -> None:
    kind, _, parameters = (exchange.header(b"content-type") or "").partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if kind.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        raise ApiError(415, "The header Content-Type must be application/json, in UTF-8.")
    if (exchange.header(b"content-encoding") or "identity").strip().lower() != "identity":
        raise ApiError(415, "The header Content-Encoding must be identity or absent.")


def body_length(exchange: Exchange, most: int) -> int:
    """What the body may take in bytes, before it is read."""
    length = exchange.header(b"content-length")
    if length is None:
        return most
    if int(length) > most:
        raise too_large(most)
    return int(length)


async def read_body(exchange: Exchange, most: int) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await exchange.receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                body += message.get("body", b"")
                if len(body) > most:
                    raise too_large(most)
                if not message.get("more_body"):
                    return bytes(body)
    except TimeoutError:
        raise ApiError(408, "The request took too long to arrive.") from None


def too_large(most: int) -> ApiError:
    return ApiError(413, f"The request body is larger than {most} bytes.", code="request_too_large")


async def while_connected(exchange: Exchange, work: Coroutine[Any, Any, T]) -> T:
    """The work's result. Raises Gone, with the work cancelled, when the client hangs up before."""
    tasks = working, gone = asyncio.create_task(work), asyncio.create_task(disconnected(exchange))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Gone
        return working.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def disconnected(exchange: Exchange) -> None:
    while (await exchange.receive())["type"] != "http.disconnect":
        pass
