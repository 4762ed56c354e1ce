"""boto3's clients with this instance's role, and the meaning of their errors."""

import os
from typing import TypedDict

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from .environment import required

THROTTLED = {"ThrottlingException", "Throttling", "TooManyRequestsException", "SlowDown", "RequestLimitExceeded"}


class Options(TypedDict):
    region_name: str
    endpoint_url: str | None
    config: Config


def options(connect_timeout: float = 60, read_timeout: float = 60, max_attempts: int = 5) -> Options:
    """Arguments of `boto3.client`; times in seconds."""
    return {
        "region_name": required("AWS_REGION"),
        # Debian 12's boto3 does not read this variable itself.
        "endpoint_url": os.environ.get("AWS_ENDPOINT_URL") or None,
        "config": Config(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            retries={"mode": "standard", "max_attempts": max_attempts},
        ),
    }


def error_code(error: Exception) -> str:
    return str(error.response.get("Error", {}).get("Code")) if isinstance(error, ClientError) else ""


def is_outage(error: Exception) -> bool:
    """Whether AWS was not available: no connection, no credentials, a server error, or throttling."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or error_code(error) in THROTTLED
    return isinstance(error, BotoCoreError)


def describe(error: Exception) -> str:
    """An error in one line. AWS's messages contain no secret values."""
    if isinstance(error, ClientError):
        message = error.response.get("Error", {}).get("Message", "")
        return f"{error.operation_name}: {error_code(error)}: {message}"[:300]
    return f"{type(error).__name__}: {error}"[:300] if isinstance(error, BotoCoreError | OSError) else str(error)
