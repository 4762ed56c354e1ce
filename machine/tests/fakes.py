"""A fake of AWS for the key agent, keys, certificates, and the end of a process."""

import functools
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import ParamSpec, TypeVar
from unittest import mock

from botocore.exceptions import ClientError

from qwen3.aws import Index, Version

SENTINEL = "qwe3_SENTINEL"
"""Part of every key; searched for wherever no key may be."""
NOW = 1_800_000_000.0


def key(name: str) -> str:
    return f"{SENTINEL}{name}".ljust(54, "0")


def client_error(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": "no"},
            "ResponseMetadata": {
                "RequestId": "r",
                "HostId": "h",
                "HTTPStatusCode": status,
                "HTTPHeaders": {},
                "RetryAttempts": 0,
            },
        },
        "ListSecretVersionIds",
    )


class FakeAws:
    """Secrets with versions and labels, as qwen3.aws.Aws returns them."""

    def __init__(self) -> None:
        self.grace = 3600.0
        self.clients = {"default": "arn:default"}
        self.secrets: dict[str, list[tuple[Version, str]]] = {}
        self.failing: dict[str, Exception] = {}
        """By ARN, `index` or `all`."""
        self.values_read: list[str] = []

    def put(self, arn: str, value: str, at: float) -> None:
        """A new AWSCURRENT. The labels move as in Secrets Manager."""
        moved = []
        for version, old in self.secrets.get(arn, []):
            stage = {"AWSPREVIOUS"} if "AWSCURRENT" in version.stages else set()
            moved.append((Version(version.id, frozenset(stage), version.created), old))
        version = Version(f"{arn}-{len(moved)}", frozenset({"AWSCURRENT"}), datetime.fromtimestamp(at, UTC))
        self.secrets[arn] = [*moved, (version, value)]

    def index(self) -> Index:
        self._fail("index")
        return Index(self.grace, dict(self.clients), "arn:tls")

    def versions(self, arn: str) -> list[Version]:
        self._fail(arn)
        return [version for version, _ in self.secrets[arn] if version.stages]

    def value(self, arn: str, version_id: str) -> str:
        self._fail(arn)
        self.values_read.append(version_id)
        return next(value for version, value in self.secrets[arn] if version.id == version_id)

    def _fail(self, what: str) -> None:
        error = self.failing.get("all") or self.failing.get(what)
        if error:
            raise error


@functools.cache
def pair(name: str) -> str:
    """The certificate's secret: a self-signed certificate and its key."""
    with tempfile.TemporaryDirectory() as folder:
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout k -out c -subj"
        subprocess.run([*command.split(), f"/CN={name}"], cwd=folder, check=True, capture_output=True)
        certificate, private_key = (Path(folder, file).read_text() for file in ("c", "k"))
    return json.dumps({"certificate": certificate, "privateKey": private_key})


P = ParamSpec("P")
R = TypeVar("R")


class Killed(BaseException):
    """The process ends here."""


@contextmanager
def killed_after(survived: int) -> Iterator[None]:
    """Ends the block at its call number `survived + 1` that changes a file."""
    calls = 0

    def counted(original: Callable[P, R]) -> Callable[P, R]:
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            nonlocal calls
            calls += 1
            if calls > survived:
                raise Killed
            return original(*args, **kwargs)

        return call

    with ExitStack() as stack:
        stack.enter_context(suppress(Killed))
        for where, name in ((os, "open"), (os, "replace"), (Path, "unlink")):
            stack.enter_context(mock.patch.object(where, name, counted(getattr(where, name))))
        yield
