"""Errors as OpenAI's clients understand them: {"error": {"message", "type", "param", "code"}}."""

from collections.abc import Mapping

import orjson
from starlette.responses import Response


class ApiError(Exception):
    """What a request is refused with. The message never repeats the input."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        type: str = "invalid_request_error",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self._error = {"message": message, "type": type, "param": param, "code": code}
        self._headers = headers

    def response(self) -> Response:
        body = orjson.dumps({"error": self._error})
        return Response(body, self.status, self._headers, media_type="application/json")


def invalid(param: str | None, message: str, code: str | None = None) -> ApiError:
    """400: a field is not what it may be."""
    return ApiError(400, message, param=param, code=code)


def busy() -> ApiError:
    """429: as many requests wait as may wait."""
    return ApiError(
        429,
        "Too many requests are waiting on this server. Try again.",
        type="requests",
        code="rate_limit_exceeded",
        headers={"Retry-After": "1"},
    )


def unavailable(message: str) -> ApiError:
    """503: the server cannot answer now, and the request is not to blame."""
    return ApiError(503, message, type="server_error", code="service_unavailable", headers={"Retry-After": "2"})
