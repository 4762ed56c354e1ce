"""A candidate's engines, each in a separate process."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ..settings import Settings
from .candidates import Candidate
from .figures import Figures, combine

SPARE_TOKENS = 4096
"""Of a copy's KV pool, for a short text that is prefilled together with one of maximum length."""


def measure(settings: Settings, candidate: Candidate, seconds: float) -> tuple[Figures | None, str]:
    """The candidate's figures, or why there are none."""
    changes = dict(candidate.changes)
    if candidate.copies > 1:
        changes["max_total_tokens"] = settings.context_length + SPARE_TOKENS
    given = json.dumps({"changes": changes, **candidate.costs})
    command = [sys.executable, "-W", "ignore", "-m", "qwen3.tune", "--one", given, "--seconds", str(seconds)]
    log = Path.home() / "tune" / f"{candidate.name.replace(' ', '-')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    with ExitStack() as stack:
        started: list[subprocess.Popen[str]] = []
        # One after another, because each sizes its memory by what is free. All are ready before the first request.
        for _ in range(candidate.copies):
            started.append(stack.enter_context(engine_process(command, log)))
            if not read_line(started[-1], "ready"):
                return None, f"does not start: {reason(log)}"
        for each in started:
            assert each.stdin is not None
            # An engine that has ended prints no figures.
            with suppress(BrokenPipeError):
                each.stdin.write("go\n")
                each.stdin.flush()
        results = [read_line(each, "{") for each in started]
    if not all(results):
        return None, f"ended during the measurement: {reason(log)}"
    return combine([json.loads(result) for result in results]), ""


def reason(log: Path) -> str:
    """The last error of a log in one line, or its last line: the worker's own errors have no exception name."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]*(?:Error|Exception)\b", line)]
    found = [*lines[-1:], *errors[-1:]]
    return f"{found[-1][:200]} ({log})" if found else f"nothing was written to {log}"


@contextmanager
def engine_process(command: list[str], log: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that is ended, with all its children, at the end of the block."""
    with log.open("a") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def read_line(process: subprocess.Popen[str], beginning: str) -> str:
    """The next line that begins with `beginning`, among SGLang's output. Empty if the process ends before."""
    assert process.stdout is not None
    return next((line for line in process.stdout if line.startswith(beginning)), "")
