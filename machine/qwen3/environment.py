"""Settings come from the environment file that every unit reads."""

import os

from .contract import ENVIRONMENT


def required(name: str) -> str:
    """A variable that has to be set; exits and says where it is set when it is not."""
    value = os.environ.get(name)
    if not value:
        raise SystemExit(f"{name} is not set; {ENVIRONMENT} sets it")
    return value
