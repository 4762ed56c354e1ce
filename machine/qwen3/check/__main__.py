"""qwen3-check: checks this instance from the inside, and searches it for its keys. `npm run verify` runs it.

It prints one JSON document, {"checks": [{"name", "about", "ok", "evidence", "next"}]}: `about` is "keys" or "service",
`ok` is null for a check that was skipped, and `next` is what to do if the check fails. It exits with 1 if one fails. It
reads the keys with the instance's role, and neither prints nor stores them.
"""

import argparse
import json
import sys
from collections.abc import Iterator

from .. import audit
from ..aws import Aws
from . import gateway, host, keys, metadata, vectors, workers
from .row import Check, Failed, Row

WAIT_SECONDS = 240.0
"""For workers that load the model while others serve already."""
FOUND = "rotate the key, then find what wrote it: sudo qwen3-audit in a Session Manager shell"


def main() -> None:
    parser = argparse.ArgumentParser(prog="qwen3-check", description="Check this instance from the inside.")
    parser.add_argument("--json", action="store_true", help="print one JSON document; there is no other format")
    parser.add_argument(
        "--wait",
        type=float,
        default=WAIT_SECONDS,
        metavar="SECONDS",
        help="how long a worker may still be starting (default: %(default)g)",
    )
    parser.add_argument(
        "--vectors", action="store_true", help="print vectors of fixed texts instead, to compare two instances"
    )
    arguments = parser.parse_args()
    if arguments.vectors:
        print_vectors()
        return
    rows = list(all_rows(arguments.wait))
    print(json.dumps({"checks": [row.document() for row in rows]}))
    sys.exit(1 if any(row.ok is False for row in rows) else 0)


def print_vectors() -> None:
    try:
        print(json.dumps(vectors.document(workers.Workers(), any_key(keys.Keys(Aws())))))
    except Failed as problem:
        sys.exit(f"qwen3-check: {problem}")


def all_rows(wait: float) -> Iterator[Row]:
    for check in all_checks(wait):
        yield check.row()
    for found in audit.checks():
        yield Row(str(found["name"]), "keys", bool(found["ok"]), str(found["evidence"]), FOUND)


def all_checks(wait: float) -> list[Check]:
    """The checks, in the order of their rows. The search for keys follows them."""
    valid = keys.Keys(Aws())
    return [
        *keys.checks(valid),
        *workers.checks(workers.Workers(), lambda: any_key(valid), wait),
        *metadata.checks(metadata.Host()),
        *gateway.checks(),
        *host.checks(wait),
    ]


def any_key(valid: keys.Keys) -> str:
    """A client's current key, to ask the workers with. Raises Failed."""
    current = [key for key, entry in valid.expected().values() if entry.not_after is None]
    if not current:
        raise Failed("there is no valid key to send")
    return current[0]


if __name__ == "__main__":
    main()
