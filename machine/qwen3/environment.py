"""Settings come from the environment that /etc/qwen3/embed.env gives every unit."""

import os


def required(name: str) -> str:
    """A variable that has to be set; exits and says where it is set when it is not."""
    value = os.environ.get(name)
    if not value:
        raise SystemExit(f"{name} is not set; /etc/qwen3/embed.env sets it")
    return value
