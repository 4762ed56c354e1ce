"""The process: start, readiness, drain, watchdog."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import uvicorn

from ..contract import FIRST_WORKER_PORT, UPSTREAM_IDLE_SECONDS, WORK
from ..files import replace
from ..notify import notify
from ..settings import Settings
from .app import App
from .engine import Engine
from .exchange import Application
from .items import Tokens
from .tokens import Tokenizer

log = logging.getLogger(__name__)

DRAIN_SECONDS = 60
"""For requests in progress to complete after a stop."""
NOTICE_SECONDS = 1.0
"""For responses with `Connection: close` before idle connections are closed, so that nginx does not use those."""
KEEP_ALIVE_SECONDS = UPSTREAM_IDLE_SECONDS + 30
"""Longer than nginx keeps idle connections, so that nginx closes them, and never while it sends a request."""
SILENCE = 8
"""In watchdog intervals: how long SGLang may return nothing. Long because of a pass of 32,768 tokens on a CPU."""

WORK_SECONDS = 5.0
"""Between two writes of the file that qwen3-utilization reads: 200 bytes on tmpfs."""
PACE_TOKENS = 512
"""Of a text with which the engine's pace is measured."""


class Server(uvicorn.Server):
    """uvicorn that notifies systemd when it listens, and leaves signals to `serve`."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        notify("READY=1")

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def main(index: int, settings: Settings) -> None:
    """Serves on 127.0.0.1 until SIGTERM, then drains and returns. Exits with 1 if SGLang's processes end."""
    begin = time.monotonic()
    engine = Engine(settings)
    tokenizer = Tokenizer(settings.model_path, engine.vocabulary, settings.context_length)
    logging.getLogger("qwen3").setLevel(logging.INFO)
    if tokenizer.dropped:
        log.info("read as plain text, because the model has no embedding for them: %s", " ".join(tokenizer.dropped))
    engine.loop.run_until_complete(serve(FIRST_WORKER_PORT + index, settings, engine, tokenizer, begin))
    engine.shutdown()


async def serve(port: int, settings: Settings, engine: Engine, tokenizer: Tokenizer, begin: float) -> None:
    [probe] = tokenizer.encode(["ready"], str)
    await engine.probe(probe)
    engine.watch(lambda reason: fail(engine, reason))
    app = App(settings, engine, tokenizer)
    await engine.settle()
    pace = await measure_pace(engine, probe, settings)
    server = Server(configuration(app, port))

    def stop() -> None:
        if not app.draining:
            app.draining = True
            notify("STOPPING=1")
            log.info(
                "stopping: no new work after %g s, up to %d s for what is in progress", NOTICE_SECONDS, DRAIN_SECONDS
            )
            engine.loop.call_later(NOTICE_SECONDS, setattr, server, "should_exit", True)

    for number in (signal.SIGTERM, signal.SIGINT):
        engine.loop.add_signal_handler(number, stop)
    log.info("ready on 127.0.0.1:%d after %.0f s, %s", port, time.monotonic() - begin, settings.accelerator)
    watching = [
        asyncio.create_task(task) for task in (keep_watchdog(), follow_engine(engine, probe), write_work(engine, pace))
    ]
    await server.serve()
    for task in watching:
        task.cancel()


def configuration(app: Application, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        http="h11",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=4096,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        h11_max_incomplete_event_size=1 << 16,
    )


def watchdog_seconds() -> float:
    """The interval of systemd's watchdog; 0 if there is none."""
    return int(os.environ.get("WATCHDOG_USEC") or 0) / 1e6


async def keep_watchdog() -> None:
    """Notifies systemd that this process is alive. systemd ends and restarts a process that hangs."""
    while interval := watchdog_seconds() / 4:
        notify("WATCHDOG=1")
        await asyncio.sleep(interval)


async def follow_engine(engine: Engine, probe: Tokens) -> None:
    """Ends the worker if SGLang does not return a probe's vector although its processes exist."""
    while silence := SILENCE * watchdog_seconds():
        if not await engine.responds(probe, silence / 4, 3 * silence / 4):
            fail(engine, f"SGLang has returned nothing for {silence:.0f} s")
        await asyncio.sleep(silence / 8)


async def measure_pace(engine: Engine, probe: Tokens, settings: Settings) -> float:
    """Tokens per second, for a fleet that scales by it; 0 on any other instance, which starts sooner without."""
    if not os.environ.get("QWEN3_AUTO_SCALING_GROUP"):
        return 0.0
    length = min(PACE_TOKENS, settings.context_length)
    pace = await engine.pace(np.resize(probe, length))
    log.info("computes %.0f tokens per second, with texts of %d tokens", pace, length)
    return pace


async def write_work(engine: Engine, pace: float) -> None:
    """Writes what the engine has computed and has waiting, for qwen3-utilization. Ends where there is no unit."""
    folder = os.environ.get("RUNTIME_DIRECTORY")
    while folder:
        try:
            replace(Path(folder) / WORK, json.dumps(engine.work.snapshot(pace)), 0o644)
        except OSError as error:
            # A full /run is no reason to stop serving.
            log.error("%s: not written: %s", WORK, error)
        await asyncio.sleep(WORK_SECONDS)


def fail(engine: Engine, reason: str) -> None:
    """Ends the worker immediately. systemd restarts it, and nginx uses the other workers meanwhile."""
    log.error("%s; this worker ends and is restarted", reason)
    engine.kill()
    os._exit(1)
