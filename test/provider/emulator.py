"""moto with everything that AWS's own provider asks of it for this stack.

`emulator.py PORT_FILE`: listens on a free port of 127.0.0.1 and writes the port into PORT_FILE. State is in memory.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
os.environ["MOTO_ACM_VALIDATION_WAIT"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "local" / "aws"))

import additions
import corrections
from census import census
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


class Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: object) -> None:
        pass


def with_census(application: Callable) -> Callable:
    """Answers /_census itself."""

    def answer(environ: dict, start_response: Callable) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/_census":
            return application(environ, start_response)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(census()).encode()]

    return answer


def main() -> None:
    corrections.apply()
    additions.apply()
    application = with_census(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    partial = Path(f"{sys.argv[1]}.partial")
    partial.write_text(str(server.port))
    partial.rename(sys.argv[1])
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()


if __name__ == "__main__":
    main()
