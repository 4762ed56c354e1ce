"""Lambda functions: one process per function, with the credentials of its role. They end with the emulator."""

from __future__ import annotations

import io
import json
import os
import select
import shutil
import subprocess
import threading
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.models import LambdaFunction, lambda_backends
from operations import ACCOUNT

RUNTIME = Path(__file__).with_name("function.mjs")
MODULES = Path(__file__).resolve().parents[2] / "node_modules"
# A new instance gets new credentials; this is well before the old ones expire.
LIFETIME_SECONDS = 1800

Credentials = Callable[[str], Mapping[str, str]]
"""Returns the environment variables with a session of the named role."""


class FunctionMissing(Exception):
    """The function does not exist; the message names it."""


class Functions:
    """Runs moto's functions. The code and the log of each are in DIR/functions/NAME."""

    def __init__(self, state: Path, credentials: Credentials) -> None:
        self._state = state / "functions"
        self._credentials = credentials
        self._instances: dict[str, Instance] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def invoke(self, name: str, region: str, event: bytes) -> dict[str, Any]:
        """Returns `{"result"}` or `{"error"}`. A function runs one call at a time, as with a concurrency of 1.

        Raises FunctionMissing.
        """
        function = function_named(name, region)
        if function is None:
            raise FunctionMissing(f"Function not found: {name}")
        name = function.function_name
        with self._locks[name]:
            instance = self._instances.get(name)
            if instance is None or not instance.serves(revision_of(function)):
                if instance is not None:
                    instance.end()
                instance = self._instances[name] = Instance(function, self._state / name, self._credentials)
            return instance.call(event, function.timeout)

    def end_deleted(self, region: str) -> None:
        """Ends the processes of functions that no longer exist, and removes their files."""
        for name in [name for name in self._instances if function_named(name, region) is None]:
            self._instances.pop(name).end()
            shutil.rmtree(self._state / name, ignore_errors=True)


def function_named(name: str, region: str) -> LambdaFunction | None:
    try:
        return lambda_backends[ACCOUNT][region].get_function(name)
    except UnknownFunctionException:
        return None


def revision_of(function: LambdaFunction) -> str:
    """Differs after every change of code or configuration."""
    return json.dumps(function.get_configuration(), sort_keys=True)


class Instance:
    def __init__(self, function: LambdaFunction, folder: Path, credentials: Credentials) -> None:
        self.revision = revision_of(function)
        self._end = time.monotonic() + LIFETIME_SECONDS
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
            **credentials(function.role.split("/")[-1]),
            **function.environment_vars,
        }
        code = unpack(function.code_bytes, folder)
        command = [str(MODULES / ".bin" / "node"), str(RUNTIME), str(code), function.handler]
        with os.fdopen(os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=folder
            )

    def serves(self, revision: str) -> bool:
        return revision == self.revision and self._process.poll() is None and time.monotonic() < self._end

    def call(self, event: bytes, timeout: float) -> dict[str, Any]:
        try:
            self._process.stdin.write(json.dumps(json.loads(event or b"{}")).encode() + b"\n")
            self._process.stdin.flush()
            ready, _, _ = select.select([self._process.stdout], [], [], timeout)
            line = self._process.stdout.readline() if ready else b""
            # The process may close its output slightly before it counts as ended.
            ended = bool(ready)
        except BrokenPipeError:
            line, ended = b"", True
        if line:
            return json.loads(line)
        self.end()
        reason = "Runtime exited" if ended else f"Task timed out after {timeout:.2f} seconds"
        return {"error": {"errorType": "Runtime.ExitError" if ended else "Sandbox.Timedout", "errorMessage": reason}}

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def unpack(archive: bytes, folder: Path) -> Path:
    """Replaces the code below a function's folder by that of a zip file. Returns the code's own folder."""
    code = folder / "code"
    shutil.rmtree(code, ignore_errors=True)
    code.mkdir(parents=True)
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        files.extractall(code)
    # Lambda's Node.js runtime includes the AWS SDK.
    modules = folder / "node_modules"
    if not modules.is_symlink():
        modules.symlink_to(MODULES)
    return code
