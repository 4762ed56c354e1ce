"""qwen3-check: checks this instance from the inside, and searches it for its keys. `npm run verify` runs it.

It prints one JSON document, {"checks": [{"name", "about", "ok", "evidence", "next"}]}: `about` is "keys" or "service",
`ok` is null for a check that was skipped, and `next` is what to do if the check fails. It exits with 1 if one fails. It
reads the keys with the instance's role, and neither prints nor stores them.
"""

import argparse
import json
import sys
from collections.abc import Iterator

from botocore.exceptions import BotoCoreError

from .. import audit
from ..aws import Aws
from ..environment import required
from . import gateway, host, keys, metadata, workers
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
    rows = list(all_rows(parser.parse_args().wait))
    print(json.dumps({"checks": [row.document() for row in rows]}))
    sys.exit(1 if any(row.ok is False for row in rows) else 0)


def all_rows(wait: float) -> Iterator[Row]:
    valid = keys.Keys(Aws())

    def any_key() -> str:
        found = valid.expected().values()
        if not found:
            raise Failed("there is no valid key to send")
        return next(key for key, entry in found if entry.not_after is None)

    for check in (
        *keys.checks(valid),
        *workers.checks(workers.Workers(), any_key, wait),
        *metadata.checks(metadata.Host()),
        *gateway.checks(),
        *host.checks(wait),
    ):
        yield check.row()
    for found in audit.checks():
        yield Row(str(found["name"]), "keys", bool(found["ok"]), str(found["evidence"]), FOUND)


if __name__ == "__main__":
    main()
