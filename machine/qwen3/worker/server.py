"""The process: start, readiness, drain, watchdog."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator

import uvicorn

from ..notify import notify
from ..settings import FIRST_PORT, Settings
from .app import App
from .engine import Engine
from .request import EmbeddingRequest
from .tokens import Tokeniser, Tokens

log = logging.getLogger(__name__)

DRAIN_SECONDS = 60
"""For requests in progress to end after a stop."""
NOTICE_SECONDS = 1.0
"""While answers say `Connection: close`, before idle connections are closed: nginx sends nothing into one that closes."""
KEEP_ALIVE_SECONDS = 90
"""Longer than nginx keeps its idle connections (60): it is nginx that closes them, and never under a request."""
SILENCE = 8
"""In watchdog times: so long SGLang may say nothing, though asked. A pass of 32,768 tokens on a CPU is why it is long."""


class Server(uvicorn.Server):
    """uvicorn that says when it listens, and leaves signals to `serve`."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        notify("READY=1")

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def main(index: int, settings: Settings) -> None:
    """Serves on 127.0.0.1 until SIGTERM, then drains and returns. Exits with 1 when SGLang's processes end."""
    begin = time.monotonic()
    engine = Engine(settings)
    tokeniser = Tokeniser(settings.model_path, engine.vocabulary, settings.context_length)
    logging.getLogger("qwen3").setLevel(logging.INFO)
    if tokeniser.dropped:
        log.info("read as plain text, because the model has no embedding for them: %s", " ".join(tokeniser.dropped))
    engine.loop.run_until_complete(serve(FIRST_PORT + index, settings, engine, tokeniser, begin))
    engine.shutdown()


async def serve(port: int, settings: Settings, engine: Engine, tokeniser: Tokeniser, begin: float) -> None:
    [probe] = await tokeniser.tokens(EmbeddingRequest(["ready"], None, True, settings.dimensions, False))
    await engine.probe(probe)
    engine.watch(lambda reason: fail(engine, reason))
    app = App(settings, engine, tokeniser)
    await engine.settle()
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
    watching = [asyncio.create_task(task) for task in (keep_watchdog(), follow_engine(engine, probe))]
    await server.serve()
    for task in watching:
        task.cancel()


def configuration(app: App, port: int) -> uvicorn.Config:
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
    """Within which systemd wants to hear from this process; 0 where it does not ask."""
    return int(os.environ.get("WATCHDOG_USEC") or 0) / 1e6


async def keep_watchdog() -> None:
    """Tells systemd that this process still takes turns: one that hangs is ended, and another started."""
    while interval := watchdog_seconds() / 4:
        notify("WATCHDOG=1")
        await asyncio.sleep(interval)


async def follow_engine(engine: Engine, probe: Tokens) -> None:
    """Ends the worker when SGLang is asked and stays silent, which its processes' being there does not show."""
    while silence := SILENCE * watchdog_seconds():
        if not await engine.responds(probe, silence / 4, 3 * silence / 4):
            fail(engine, f"SGLang has said nothing for {silence:.0f} s")
        await asyncio.sleep(silence / 8)


def fail(engine: Engine, reason: str) -> None:
    """Ends the worker at once: systemd starts another, and nginx turns to the others meanwhile."""
    log.error("%s; this worker ends, to be started again", reason)
    engine.kill()
    os._exit(1)
