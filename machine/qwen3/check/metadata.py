"""Whether the metadata service, which has the role's credentials and with them every key, is out of reach."""

import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .row import Check, Failed, Skipped
from .system import TIMEOUT_SECONDS, in_container, properties

METADATA = ("169.254.169.254", 80)
UNITS = ("qwen3-embed@0.service", "nginx.service")
RESTRICTIONS = (
    *("User", "Slice", "IPAddressDeny", "IPAddressAllow", "RestrictAddressFamilies"),
    *("PrivateNetwork", "NetworkNamespacePath"),
)
"""The properties of a unit that decide what its processes can reach."""
ANYTHING_DENIED = {"IPAddressDeny": "any"}
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3)
    print("connected")
except OSError as error:
    print(error)
"""
"""Prints `connected`, or why not. Never fails, so that the transient unit leaves no trace of a failure."""


def connect_with(restrictions: Mapping[str, str], address: tuple[str, int]) -> str:
    """Connects from a transient unit with these properties. Returns what CONNECT prints."""
    given = [f"--property={name}={value}" for name, value in restrictions.items() if value]
    unit = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", *given]
    program = ["/usr/bin/python3", "-c", CONNECT, address[0], str(address[1])]
    done = subprocess.run([*unit, *program], check=True, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    return done.stdout.strip()


def connects(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=3).close()
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Host:
    """What the check asks this host."""

    restrictions: Callable[[str], Mapping[str, str]] = lambda unit: properties(unit, *RESTRICTIONS)
    connect: Callable[[Mapping[str, str], tuple[str, int]], str] = connect_with
    root_connects: Callable[[], bool] = lambda: connects(METADATA)
    container: Callable[[], bool] = in_container


def out_of_reach(host: Host) -> str:
    """Connects with the restrictions of each unit, as the unit's user, and without any."""
    if not host.root_connects():
        raise Skipped("the metadata service accepts no connection of root either, so that a refusal would show nothing")
    seen = {unit: host.connect(host.restrictions(unit), METADATA) for unit in UNITS}
    reached = [unit for unit, result in seen.items() if result == "connected"]
    if not reached:
        return "; ".join(f"{unit}: {result}" for unit, result in seen.items()) + "; root connects"
    # systemd passes over IPAddressDeny without an error where the kernel or the container cannot enforce it.
    enforced = host.connect(ANYTHING_DENIED, METADATA) != "connected"
    if not enforced and host.container():
        raise Skipped("this container's host does not enforce IPAddressDeny: see docs/guides/local.md")
    why = "the unit allows it" if enforced else "this host does not enforce IPAddressDeny: it needs control groups v2"
    raise Failed(f"reached with the restrictions of {', '.join(reached)}: {why}")


def checks(host: Host) -> list[Check]:
    return [
        Check(
            "the metadata service is out of reach",
            "service",
            "who gets into a worker gets every key: compare IPAddressDeny in systemctl show with the unit and its "
            "drop-ins",
            lambda: out_of_reach(host),
        )
    ]
