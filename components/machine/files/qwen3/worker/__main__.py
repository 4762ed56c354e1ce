"""usage: python -m qwen3.worker INDEX: one worker, until SIGTERM, or until SGLang's processes end."""

import asyncio
import os
import sys

import uvicorn

from ..notify import notify
from ..settings import Settings, read_settings
from .app import create_app
from .engine import EmbeddingEngine
from .requests import EmbeddingRequest

DRAIN_SECONDS = 60
LOOK_SECONDS = 1.0


def main() -> None:
    if len(sys.argv) != 2 or not sys.argv[1].isdecimal():
        sys.exit(__doc__)
    settings = read_settings(int(sys.argv[1]))
    notify("STATUS=loading the model")
    engine = EmbeddingEngine(settings)
    served = engine.loop.run_until_complete(serve(settings, engine))
    engine.shutdown()
    # SGLang leaves threads behind that would keep the process.
    os._exit(0 if served else 1)


async def serve(settings: Settings, engine: EmbeddingEngine) -> bool:
    """Serve once the engine has embedded; answers whether it ended because it was asked to."""
    probe = EmbeddingRequest(inputs=["ready"], single=True, dimensions=settings.dimensions, base64=False)
    await engine.embed(await engine.tokenize(probe), settings.dimensions)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings, engine),
            host="127.0.0.1",
            port=settings.port,
            loop="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=120,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
    )
    watch = asyncio.ensure_future(watch_engine(server, engine))
    await server.serve()
    alive = not watch.done()
    watch.cancel()
    return alive


async def watch_engine(server: uvicorn.Server, engine: EmbeddingEngine) -> None:
    """Tell systemd that all is well, and end the worker when SGLang's processes are gone: it starts a new one."""
    while not server.started:
        await asyncio.sleep(0.05)
    notify("READY=1\nSTATUS=serving")
    while engine.is_alive():
        notify("WATCHDOG=1")
        await asyncio.sleep(LOOK_SECONDS)
    print("SGLang's processes have ended; so does the worker", file=sys.stderr, flush=True)
    server.should_exit = True
    server.force_exit = True


if __name__ == "__main__":
    main()
