"""qwen3-keys: keeps the digests of the API keys in Secrets Manager, never the keys, on tmpfs.

Every QWEN3_POLL_SECONDS (5), or immediately on SIGHUP, it polls S3 for a changed index and Secrets Manager for the
labelled versions of each client's secret. It reads a value only if its version is new, and keeps the digest.
AWSCURRENT is valid without end; AWSPREVIOUS until keyGraceSeconds after the creation of the *current* version, which
Secrets Manager stores; nothing else is valid. The valid keys depend only on Secrets Manager and the index.

Cost per instance in 30 days at 5 seconds: 518,400 ListSecretVersionIds per client at $0.05 per 10,000, $2.59; a twelfth
of that, $0.22, for the certificate; $0.21 for S3's GETs.

If AWS cannot be read, the last digests remain in use, also after a restart of this process. A line in the journal, the
unit's status and the file `stale` report it.
"""

import logging
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from .agent import Agent
from .aws import Aws
from .certificate import Certificate
from .contract import KEYS, POLL_SECONDS, TLS
from .digests import Digests
from .notify import notify

log = logging.getLogger("qwen3-keys")

LONGEST_WAIT_SECONDS = 60.0


class Backoff:
    """Seconds until the next pass: the polling interval, or increasing during an outage, with jitter."""

    def __init__(self, poll: float) -> None:
        self._poll = poll
        self._failures = 0

    def after(self, reached: bool) -> float:
        self._failures = 0 if reached else min(self._failures + 1, 10)
        if reached:
            return self._poll
        return min(self._poll * 2.0**self._failures, LONGEST_WAIT_SECONDS) * random.uniform(0.5, 1)


def run(agent: Agent, backoff: Backoff, sleep: Callable[[float], object]) -> None:
    """Runs one pass after another, without end."""
    stale_since: float | None = None
    if agent.ready:
        # Files of an earlier process: nginx need not wait for AWS.
        notify("READY=1")
    while True:
        reached = agent.follow()
        stale_since = (stale_since or time.time()) if agent.problems else None
        agent.mark_stale(stale_since)
        status = "up to date" if stale_since is None else f"since {time.ctime(stale_since)} not everything can be read"
        notify(f"STATUS={status}\nWATCHDOG=1" + ("\nREADY=1" if agent.ready else ""))
        sleep(backoff.after(reached))


def poll_seconds() -> float:
    text = os.environ.get("QWEN3_POLL_SECONDS") or str(POLL_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= LONGEST_WAIT_SECONDS:
        raise SystemExit(f"QWEN3_POLL_SECONDS is {text!r}; allowed: seconds from 1 to {LONGEST_WAIT_SECONDS:.0f}")
    return seconds


class JournalFormatter(logging.Formatter):
    """Gives each line its priority, so that `journalctl --priority warning` finds it; see sd-daemon(3)."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        return f"<{4 if record.levelno >= logging.WARNING else 6}>{line}" if "JOURNAL_STREAM" in os.environ else line


def log_to_journal() -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JournalFormatter("%(levelname)s %(message)s"))
    # Not the root logger: botocore logs requests and responses at DEBUG.
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


def main() -> None:
    log_to_journal()
    wake = threading.Event()
    signal.signal(signal.SIGHUP, lambda *_: wake.set())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    def sleep(seconds: float) -> None:
        wake.wait(seconds)
        wake.clear()

    poll = poll_seconds()
    digests = Digests(Path(os.environ.get("QWEN3_KEYS_DIR") or KEYS))
    certificate = Certificate(Path(os.environ.get("QWEN3_TLS_DIR") or TLS))
    run(Agent(Aws(), digests, certificate), Backoff(poll), sleep)


if __name__ == "__main__":
    main()
