"""Errors in the format that OpenAI's clients understand."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from ..contract import TOO_MANY_REQUESTS, UNAVAILABLE, Error


@dataclass
class ApiError(Exception):
    """An error response. `message` and `param` name the field, but never contain what was sent in it."""

    status: int
    message: str
    type: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return orjson.dumps({"error": error})


def api_error(error: Error, message: str = "", headers: Mapping[str, str] | None = None) -> ApiError:
    """An error that nginx returns too, optionally with another message or additional headers."""
    all_headers = {**error.headers, **(headers or {})}
    return ApiError(error.status, message or error.message, error.type, code=error.code, headers=all_headers)


def invalid(param: str | None, message: str) -> ApiError:
    return ApiError(400, message, param=param)


def too_long(name: str, limit: int, count: int | None = None) -> ApiError:
    """An item has more tokens than the context. `count` is None if they were counted only until that was certain."""
    has = "has" if count is None else f"has {count} tokens,"
    error = invalid(
        name, f"{name} {has} more than the limit of {limit} tokens, including the appended end-of-text token."
    )
    error.code = "context_length_exceeded"
    return error


def overloaded(message: str) -> ApiError:
    """The worker is full with all clients' requests together. A retry may soon succeed."""
    return api_error(UNAVAILABLE, message, {"Retry-After": "1"})


def rate_limited(message: str) -> ApiError:
    return api_error(TOO_MANY_REQUESTS, message)
