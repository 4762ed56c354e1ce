"""Lambda functions: one process per function, with the credentials of its role. They end with the emulator."""

from __future__ import annotations

import json
import os
import select
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

RUNTIME = Path(__file__).with_name("function.mjs")
# A new instance gets new credentials; this is well before the old ones expire.
LIFETIME_SECONDS = 1800

Credentials = Callable[[str], Mapping[str, str]]
"""Returns the environment variables with a session of the named role."""


class FunctionMissing(Exception):
    """The function does not exist; the message names it."""


class Functions:
    """The functions that the fake AWS provider wrote to DIR/functions (local/fakes/aws/lambda.ts)."""

    def __init__(self, state: Path, credentials: Credentials) -> None:
        self._state = state / "functions"
        self._credentials = credentials
        self._instances: dict[str, Instance] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def invoke(self, name: str, event: bytes) -> dict[str, Any]:
        """Returns `{"result"}` or `{"error"}`. A function runs one call at a time, as with a concurrency of 1.

        Raises FunctionMissing.
        """
        path = self._state / name / "function.json"
        if "/" in name or not path.exists():
            raise FunctionMissing(f"Function not found: {name}")
        definition = json.loads(path.read_text())
        with self._locks[name]:
            instance = self._instances.get(name)
            if instance is None or not instance.serves(definition["revision"]):
                if instance is not None:
                    instance.end()
                instance = self._instances[name] = Instance(definition, path.parent, self._credentials)
            return instance.call(event, definition["timeout"])


class Instance:
    def __init__(self, definition: Mapping[str, Any], folder: Path, credentials: Credentials) -> None:
        self.revision = definition["revision"]
        self._end = time.monotonic() + LIFETIME_SECONDS
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_FUNCTION_NAME": folder.name,
            **credentials(definition["role"].split("/")[-1]),
            **definition["variables"],
        }
        command = [definition["node"], str(RUNTIME), definition["code"], definition["handler"]]
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
