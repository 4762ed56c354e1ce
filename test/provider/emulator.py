"""moto with everything that the AWS provider needs for this stack.

`emulator.py PORT_FILE [POLICY_FILE…]`: listens on a free port of 127.0.0.1 and writes the port to PORT_FILE. The
deployer may perform what the policies grant, or everything without policies. State is kept in memory.
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
import authorisation
import corrections
from census import census
from given import given, prepare
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


class Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: object) -> None:
        pass


LOCK = threading.Lock()


def one_at_a_time(application: Callable) -> Callable:
    """moto keeps its state in dictionaries without locks, and terraform sends ten requests at a time."""

    def locked(environ: dict, start_response: Callable) -> Iterable[bytes]:
        with LOCK:
            return list(application(environ, start_response))

    return locked


def once(application: Callable) -> Callable:
    """An SDK sends a request again if the connection ends before the response: it gets the same response, from here.

    moto would find what it has deleted already missing.
    """
    served: dict[str, tuple[tuple, list[bytes]]] = {}

    def served_once(environ: dict, start_response: Callable) -> Iterable[bytes]:
        invocation = environ.get("HTTP_AMZ_SDK_INVOCATION_ID", "")
        if invocation in served:
            started, body = served[invocation]
            start_response(*started)
            return body
        started = ()

        def start(*arguments: object) -> Callable:
            nonlocal started
            started = arguments
            return start_response(*arguments)

        body = list(application(environ, start))
        if invocation and str(started[0]).startswith("2"):
            served[invocation] = (started, body)
        return body

    return served_once


def with_questions(application: Callable) -> Callable:
    """Responds to /_census, /_given and /_used itself."""
    answers = {"/_census": census, "/_given": given, "/_used": authorisation.used}

    def application_or_answer(environ: dict, start_response: Callable) -> Iterable[bytes]:
        answer = answers.get(environ["PATH_INFO"])
        if answer is None:
            return application(environ, start_response)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer()).encode()]

    return application_or_answer


def main() -> None:
    corrections.apply()
    additions.apply()
    prepare()
    authorisation.apply()
    if len(sys.argv) > 2:
        authorisation.set_policies(Path(file).read_text() for file in sys.argv[2:])
    application = one_at_a_time(with_questions(once(DomainDispatcherApplication(create_backend_app))))
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
