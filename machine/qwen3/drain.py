"""qwen3-drain: completes this instance's requests before its address moves to another instance.

nginx closes idle connections at once and every other one after its response, and goes on accepting. Then new
connections wait for a moment: the kernel drops their first packet, which clients send again after a second, and by then
to the instance that has the address. As soon as no connection is open, or at the deadline, it prints
{"open": N, "seconds": S}: N connections are cut if the address moves now. If the address stays, a timer makes the
instance serve as before.
"""

import argparse
import fcntl
import json
import logging
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from .contract import DRAIN, DRAIN_CONFIGURATION, GATEWAY_PORT

POLL_SECONDS = 0.05
HOLD_SECONDS = 2.0
"""For which new connections wait while the last requests complete. Clients send the packet again after 1 and 3 s."""
REST_SECONDS = 2.0
"""Between two attempts, in which the connections that waited are served."""
RESUME_SECONDS = 20
"""After which the instance serves as before, if its address has not moved and nobody has said so."""
LONGEST_SECONDS = 3600

TABLE = "qwen3_drain"
LOCK = DRAIN.with_name("drain.lock")
RULES = f"""table inet {TABLE} {{
    chain input {{
        type filter hook input priority filter; policy accept;
        iifname != "lo" tcp dport {GATEWAY_PORT} tcp flags & (syn | ack) == syn drop
    }}
}}
"""

OPEN_STATES = {"01", "03", "04", "08", "09", "0B"}
"""Of /proc/net/tcp: established, about to be, and those with data that may be still on its way."""

log = logging.getLogger("qwen3-drain")


class Gateway(Protocol):
    """What a drain changes on the instance."""

    def close_after_response(self) -> None: ...
    def hold_new_connections(self) -> None: ...
    def accept_new_connections(self) -> None: ...
    def resume_after(self, seconds: float) -> None: ...
    def open_connections(self) -> int: ...


class Host:
    """This instance's nginx and kernel."""

    def __init__(self, configuration: Path = DRAIN, connections: Path = Path("/proc/net/tcp")) -> None:
        self._configuration = configuration
        self._connections = connections
        self._timer = ""

    def close_after_response(self) -> None:
        self._configuration.write_text(DRAIN_CONFIGURATION)
        # The old processes complete their requests and close what is idle; new ones accept.
        run("systemctl", "reload", "nginx.service")

    def hold_new_connections(self) -> None:
        try:
            run("nft", "--file", "-", text=RULES)
        except (OSError, subprocess.SubprocessError) as error:
            log.warning("new connections cannot be held, so some may be cut: %s", error)

    def accept_new_connections(self) -> None:
        quietly("nft", "delete", "table", "inet", TABLE)

    def resume_after(self, seconds: float) -> None:
        # The new timer first: at no time is there none.
        before, self._timer = self._timer, f"qwen3-drain-end-{time.time_ns()}"
        timer = [f"--on-active={seconds:g}", f"--unit={self._timer}"]
        run("systemd-run", "--quiet", "--collect", *timer, "/usr/local/sbin/qwen3-drain", "--end")
        if before:
            quietly("systemctl", "stop", f"{before}.timer")

    def open_connections(self) -> int:
        return count_open(self._connections.read_text())

    def end(self) -> None:
        """Serves as before the drain."""
        self.accept_new_connections()
        if self._configuration.exists():
            self._configuration.unlink()
            run("systemctl", "reload", "nginx.service")


def run(*arguments: str, text: str | None = None) -> None:
    subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=30, input=text)


def quietly(*arguments: str) -> None:
    subprocess.run(arguments, check=False, capture_output=True, timeout=30)


def count_open(table: str) -> int:
    """Open connections from other hosts to the gateway, in the format of /proc/net/tcp."""
    count = 0
    for line in table.splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        port = int(local.rpartition(":")[2], 16)
        # Little-endian: 127.0.0.1 is 0100007F.
        if port == GATEWAY_PORT and not remote.startswith("0100007F") and state in OPEN_STATES:
            count += 1
    return count


def drain(
    gateway: Gateway,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Returns how many connections are open, once new ones wait: 0, or more at the deadline.

    seconds: the deadline
    """
    deadline = clock() + seconds
    gateway.resume_after(seconds + RESUME_SECONDS)
    gateway.close_after_response()
    while True:
        gateway.hold_new_connections()
        left = wait_until_closed(gateway, min(HOLD_SECONDS, max(0.0, deadline - clock())), clock, sleep)
        if left == 0 or clock() >= deadline:
            gateway.resume_after(RESUME_SECONDS)
            return left
        gateway.accept_new_connections()
        sleep(max(0.0, min(REST_SECONDS, deadline - clock())))


def wait_until_closed(
    gateway: Gateway, seconds: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> int:
    """How many connections are open: 0 as soon as that is so, or more after this many seconds."""
    end = clock() + seconds
    while True:
        left = gateway.open_connections()
        if left == 0 or clock() >= end:
            return left
        sleep(POLL_SECONDS)


def deadline_seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    # Not "below or above", which is false for NaN.
    if not 0 <= value <= LONGEST_SECONDS:
        raise argparse.ArgumentTypeError(f"is {text!r}; allowed: a number of seconds from 0 to {LONGEST_SECONDS}")
    return value


def main() -> None:
    parser = argparse.ArgumentParser(prog="qwen3-drain", description="Complete requests before the address moves.")
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--seconds", type=deadline_seconds, metavar="N", help=f"deadline, 0 to {LONGEST_SECONDS}")
    group.add_argument("--end", action="store_true", help="serve as before")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    host = Host()
    # Only one drain at a time, which the end of an earlier one must not disturb.
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (fcntl.LOCK_NB if arguments.end else 0))
        except BlockingIOError:
            return
        if arguments.end:
            host.end()
            return
        begin = time.monotonic()
        try:
            left = drain(host, arguments.seconds)
        except BaseException:
            host.end()
            raise
        print(json.dumps({"open": left, "seconds": round(time.monotonic() - begin, 1)}))


if __name__ == "__main__":
    main()
