"""Connections to the endpoint for the fuzz runs, and the requirements for every response."""

import http.client
import json
import re
import ssl
from dataclasses import dataclass

REQUEST_ID = re.compile(r"[0-9a-f]{32}")
ECHOES = re.compile(rb"/opt/qwen3|/usr/lib|/var/lib|Traceback|site-packages|SENTINEL")
"""No response may contain a server's path, a traceback, or what was sent. Requests contain SENTINEL where they can."""


@dataclass(frozen=True)
class Target:
    """What the caller wrote to standard input. The key is in no argument and no environment."""

    host: str
    port: int
    ca: str | None
    """PEM; None for plain HTTP to a worker."""
    key: str
    model: str

    def connect(self) -> http.client.HTTPConnection:
        if self.ca is None:
            return http.client.HTTPConnection(self.host, self.port, timeout=120)
        return http.client.HTTPSConnection(
            self.host, self.port, timeout=120, context=ssl.create_default_context(cadata=self.ca)
        )


def fault(status: int, headers: dict[str, str], body: bytes, through_nginx: bool) -> str | None:
    """The problem with a response, if any. Headers are by lower-case name."""
    if ECHOES.search(body):
        return "the response contains a server's path or what was sent"
    if through_nginx and not REQUEST_ID.fullmatch(headers.get("x-request-id", "")):
        return "no X-Request-Id"
    if status == 200:
        return None
    if not (400 <= status < 500 or status == 503):
        return f"status {status}"
    try:
        error = json.loads(body)["error"]
        whole = isinstance(error["message"], str) and isinstance(error["type"], str) and {"param", "code"} <= set(error)
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        return f"{status} without OpenAI's error object"
    if status in (429, 503) and not headers.get("retry-after", "").isdigit():
        return f"{status} without Retry-After"
    if status == 401 and not headers.get("www-authenticate", "").startswith("Bearer realm="):
        return "401 without WWW-Authenticate"
    return None
