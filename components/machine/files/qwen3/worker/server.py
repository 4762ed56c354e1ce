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
    pings = asyncio.create_task(keep_watchdog(engine, probe))
    await server.serve()
    pings.cancel()


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


async def keep_watchdog(engine: Engine, probe: Tokens) -> None:
    """Pings systemd's watchdog for as long as something comes out of SGLang. Does nothing without WatchdogSec."""
    interval = int(os.environ.get("WATCHDOG_USEC") or 0) / 1e6 / 4
    while interval:
        if await engine.responds(probe, interval):
            notify("WATCHDOG=1")
        await asyncio.sleep(interval)


def fail(engine: Engine, reason: str) -> None:
    """Ends the worker at once: systemd starts another, and nginx turns to the others meanwhile."""
    log.error("%s; this worker ends, to be started again", reason)
    engine.kill()
    os._exit(1)
