"""Settings, from the environment file that every unit reads."""

import os

from .contract import ENVIRONMENT


def required(name: str) -> str:
    """A required variable. Exits with the file that sets it if it is not set."""
    value = os.environ.get(name)
    if not value:
        raise SystemExit(f"{name} is not set; {ENVIRONMENT} sets it")
    return value
