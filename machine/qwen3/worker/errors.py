"""Errors in the shape that OpenAI's clients understand."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson


@dataclass
class ApiError(Exception):
    """A refusal. `message` and `param` name the field at fault and never hold what was sent in it."""

    status: int
    message: str
    type: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return orjson.dumps({"error": error})


def invalid(param: str | None, message: str) -> ApiError:
    return ApiError(400, message, param=param)


def unavailable(message: str, retry_after: int = 1) -> ApiError:
    """The server's own state, not the request, is in the way: worth trying again."""
    headers = {"Retry-After": str(retry_after)}
    return ApiError(503, message, "server_error", code="service_unavailable", headers=headers)


def rate_limited(message: str) -> ApiError:
    return ApiError(429, message, "requests", code="rate_limit_exceeded", headers={"Retry-After": "1"})
