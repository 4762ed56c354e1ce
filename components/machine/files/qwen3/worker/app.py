"""The worker's three routes."""

import asyncio
import base64
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ..settings import Settings
from .door import Door
from .engine import EmbeddingEngine
from .errors import ApiError, busy, unavailable
from .requests import EmbeddingRequest, parse_request


def create_app(settings: Settings, engine: EmbeddingEngine) -> Starlette:
    """The application of one worker whose engine is ready."""
    worker = Worker(settings, engine)
    return Starlette(
        routes=[
            Route("/v1/embeddings", worker.embeddings, methods=["POST"]),
            Route("/v1/models", worker.models, methods=["GET"]),
            Route("/health", worker.health, methods=["GET"]),
        ],
        exception_handlers={ApiError: answer_api_error, HTTPException: answer_http_exception, Exception: answer_bug},
    )


class Worker:
    """Handlers, and the queue that bounds what waits."""

    def __init__(self, settings: Settings, engine: EmbeddingEngine) -> None:
        self._settings = settings
        self._engine = engine
        self._door = Door(settings.keys)
        self._waiting = 0
        self._started = int(time.time())

    async def embeddings(self, request: Request) -> Response:
        begin = time.monotonic()
        client = self._door.client(authorization(request))
        entry = {"client": client, "request_id": request.headers.get("x-request-id"), "status": 200}
        try:
            async with self._place():
                response = await self._embed(request, entry)
        except ApiError as error:
            entry["status"] = error.status
            raise
        except ClientDisconnect:
            entry["status"] = 499
            return Response(status_code=499)
        finally:
            entry["seconds"] = round(time.monotonic() - begin, 4)
            print(json.dumps(entry), file=sys.stdout, flush=True)
        return response

    async def _embed(self, request: Request, entry: dict) -> Response:
        check_headers(request)
        wanted = parse_request(await self._body(request), self._settings, self._engine.vocabulary)
        items = await self._engine.tokenize(wanted)
        tokens = sum(len(ids) for ids in items)
        entry |= {"items": len(items), "tokens": tokens}
        vectors = await until_disconnected(request, self._engine.embed(items, wanted.dimensions))
        return Response(self._answer(wanted, vectors, tokens), media_type="application/json")

    def _answer(self, wanted: EmbeddingRequest, vectors: np.ndarray, tokens: int) -> bytes:
        if wanted.base64:
            little_endian = vectors.astype("<f4")
            embeddings = [base64.b64encode(row.tobytes()).decode() for row in little_endian]
        else:
            embeddings = list(vectors)
        return orjson.dumps(
            {
                "object": "list",
                "data": [
                    {"object": "embedding", "index": index, "embedding": embedding}
                    for index, embedding in enumerate(embeddings)
                ],
                "model": self._settings.served_model,
                "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            },
            option=orjson.OPT_SERIALIZE_NUMPY,
        )

    async def models(self, request: Request) -> Response:
        self._door.client(authorization(request))
        model = {
            "id": self._settings.served_model,
            "object": "model",
            "created": self._started,
            "owned_by": "Qwen",
        }
        return Response(orjson.dumps({"object": "list", "data": [model]}), media_type="application/json")

    async def health(self, request: Request) -> Response:
        if not self._engine.is_alive():
            raise unavailable("The engine is not running.")
        return Response(b'{"status":"ready"}', media_type="application/json")

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._waiting >= self._settings.max_waiting_requests:
            raise busy()
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def _body(self, request: Request) -> bytes:
        limit = self._settings.max_body_bytes
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise ApiError(413, f"The request body is larger than {limit} bytes.", code="request_too_large")
        return bytes(body)


def authorization(request: Request) -> bytes | None:
    return next((value for name, value in request.headers.raw if name == b"authorization"), None)


def check_headers(request: Request) -> None:
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type != "application/json":
        raise ApiError(415, "The header Content-Type must be application/json.", code="unsupported_media_type")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ApiError(415, "The header Content-Encoding must be absent: the body is plain.", code="unsupported_media_type")


async def until_disconnected(request: Request, work):
    """The result of `work`, which is given up when the client hangs up. Raises ClientDisconnect then."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        gone.cancel()
        task.cancel()


async def disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def answer_api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response()


async def answer_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's own: no such route, or another method."""
    assert isinstance(error, HTTPException)
    messages = {404: "There is no such route.", 405: "This route takes another method; see the header Allow."}
    message = messages.get(error.status_code, "The request could not be read.")
    return ApiError(error.status_code, message, headers=error.headers).response()


async def answer_bug(request: Request, error: Exception) -> Response:
    """Whatever was not thought of: its place goes to the journal (by Starlette), nothing of it to the client."""
    return ApiError(500, "The server failed to answer; its log says why.", type="server_error").response()
