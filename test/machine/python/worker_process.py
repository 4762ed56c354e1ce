"""A worker with SGLang in a separate process."""

import json
import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from worker_client import Client, KeyFolder

from qwen3.contract import FIRST_WORKER_PORT, MODEL_ID, SERVED_MODEL

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 300

OBSERVER = """
import gc, os, threading, time

def observe():
    while True:
        path = f"{os.path.dirname(__file__)}/{os.getpid()}"
        with open(f"{path}.new", "w") as file:
            file.write(str(gc.get_freeze_count()))
        os.replace(f"{path}.new", path)
        time.sleep(0.5)

threading.Thread(target=observe, daemon=True).start()
"""
"""Runs in each process of a worker and writes how many objects its garbage collector ignores."""


class Worker(Client):
    """A worker process with its keys, its notification socket and its log in a temporary folder."""

    def __init__(self, index: int, **settings: str) -> None:
        super().__init__(FIRST_WORKER_PORT + index)
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        self.keys = KeyFolder(folder / "keys")
        self._log = folder / "log"
        self._notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notifications.bind(str(folder / "notify"))
        self._heard: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._hear, daemon=True).start()
        self.model = Path(os.environ.get("QWEN3_TEST_MODEL") or folder / "model")
        if not self.model.exists():
            subprocess.run([sys.executable, ROOT / "local/makeRandomModel.py", self.model], check=True)
        self.observed = folder / "observed"
        self.observed.mkdir()
        (self.observed / "sitecustomize.py").write_text(OBSERVER)
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{self.observed}:{ROOT}/machine:{ROOT}/machine/cpu",
            "HOME": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NOTIFY_SOCKET": str(folder / "notify"),
            "WATCHDOG_USEC": "10000000",
            "QWEN3_SERVED_MODEL": SERVED_MODEL,
            "QWEN3_MODEL_ID": MODEL_ID,
            "QWEN3_MODEL_PATH": str(self.model),
            "QWEN3_ACCELERATOR": "cpu",
            "QWEN3_KEYS_DIR": str(self.keys.folder),
            **settings,
        }
        command = [sys.executable, "-W", "ignore", "-m", "qwen3.worker", str(index)]
        self.begin = time.monotonic()
        with self._log.open("w") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)

    def wait(self) -> None:
        """Waits until systemd would consider it started."""
        deadline = self.begin + START_SECONDS
        while "READY=1" not in self.notifications(1.0, "READY=1"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the worker did not start:\n{self.log()[-4000:]}")

    def _hear(self) -> None:
        while message := self._notifications.recv(4096):
            self._heard.put(message.decode())

    def notifications(self, seconds: float, wanted: str = "") -> list[str]:
        """The worker's messages to systemd from now on, for this many seconds or until one is `wanted`."""
        while not self._heard.empty() and not wanted:
            self._heard.get()
        seen: list[str] = []
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and wanted not in seen:
            try:
                seen.append(self._heard.get(timeout=left))
            except queue.Empty:
                break
        return seen

    def log(self) -> str:
        return self._log.read_text()

    def logged(self, request_id: str) -> dict[str, Any]:
        """The log line of a request, which is written after its response."""
        for _ in range(100):
            lines = [json.loads(line) for line in self.log().splitlines() if line.startswith('{"request_id"')]
            if found := [line for line in lines if line["request_id"] == request_id]:
                line: dict[str, Any] = found[0]
                return line
            time.sleep(0.1)
        raise AssertionError(f"no line for {request_id}")

    def children(self) -> list[int]:
        return [
            int(pid) for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ]

    def scheduler(self) -> int:
        """SGLang names its processes; the scheduler has the model."""
        return next(pid for pid in self.children() if b"scheduler" in Path(f"/proc/{pid}/cmdline").read_bytes())

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._folder.cleanup()
