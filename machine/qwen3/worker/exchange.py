"""One HTTP request and its response, in ASGI."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TypedDict, TypeVar

from ..contract import TOO_LARGE
from .errors import ApiError, api_error

BODY_SECONDS = 30.0
"""For the body to arrive."""

T = TypeVar("T")


class Scope(TypedDict):
    """The parts of ASGI's scope of an HTTP request that a worker reads."""

    method: str
    raw_path: bytes
    headers: list[tuple[bytes, bytes]]


class Received(TypedDict, total=False):
    type: str
    body: bytes
    more_body: bool


class Sent(TypedDict, total=False):
    type: str
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    more_body: bool


Receive = Callable[[], Awaitable[Received]]
Send = Callable[[Sent], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class ClientDisconnected(Exception):
    """The client closed the connection, or does not read its response."""


@dataclass(eq=False)
class Exchange:
    """A request and the information about it that is logged: no header, no body, no key."""

    scope: Scope
    receive: Receive
    send: Send
    request_id: str = ""
    client: str | None = None
    status: int = 500
    items: int | None = None
    tokens: int | None = None
    param: str | None = None

    def header(self, name: bytes) -> str | None:
        """The value of the first header of this name, given in lower case."""
        return next((value.decode("latin-1") for key, value in self.scope["headers"] if key == name), None)

    def check_content_type(self) -> None:
        """Raises ApiError for anything but plain JSON in UTF-8."""
        kind, _, parameters = (self.header(b"content-type") or "").partition(";")
        charset = parameters.strip().lower().replace('"', "")
        if kind.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
            raise ApiError(415, "The header Content-Type must be application/json, in UTF-8.")
        if (self.header(b"content-encoding") or "identity").strip().lower() != "identity":
            raise ApiError(415, "The header Content-Encoding must be identity or absent.")

    def body_length(self, most: int) -> int:
        """The number of bytes that the body may have, before it is read. Raises ApiError if it is above `most`."""
        length = self.header(b"content-length")
        if length is None:
            return most
        if int(length) > most:
            raise too_large(most)
        return int(length)

    async def read_body(self, most: int) -> bytes:
        """Raises ApiError for more than `most` bytes or a body that takes too long, and ClientDisconnected."""
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    message = await self.receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnected
                    body += message.get("body", b"")
                    if len(body) > most:
                        raise too_large(most)
                    if not message.get("more_body"):
                        return bytes(body)
        except TimeoutError:
            raise ApiError(408, "The request took too long to arrive.") from None

    async def while_connected(self, work: Coroutine[object, object, T]) -> T:
        """The work's result. If the client disconnects before, cancels the work and raises ClientDisconnected."""
        working, disconnected = asyncio.create_task(work), asyncio.create_task(self._disconnected())
        try:
            await asyncio.wait((working, disconnected), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise ClientDisconnected
            return working.result()
        finally:
            working.cancel()
            disconnected.cancel()
            await asyncio.gather(working, disconnected, return_exceptions=True)
            # As in FairThreads.call.
            del working, disconnected

    async def _disconnected(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass


def too_large(most: int) -> ApiError:
    return api_error(TOO_LARGE, TOO_LARGE.message.format(bytes=most))
