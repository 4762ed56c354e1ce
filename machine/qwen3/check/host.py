"""The instance itself: disks and clock."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from ..contract import CACHE, KEYS, STORE
from .row import Check, Failed, Skipped, until
from .system import in_container, output

GIB = 1 << 30
MIB = 1 << 20
LEAST_FREE: Mapping[Path, int] = {
    Path("/"): 2 * GIB,
    STORE: 2 * GIB,
    CACHE: 2 * GIB,
    Path("/var/log"): 2 * GIB,
    KEYS: 16 * MIB,
}
"""Free bytes. Logs, kernels and journals need the former, digests the last."""
CLOCK_SECONDS = 30.0
"""A clock is set some time after the boot."""


def space(least: Mapping[Path, int] = LEAST_FREE) -> str:
    free = {path: shutil.disk_usage(path).free for path in least if path.exists()}
    short = [f"{path} has {free[path] / MIB:,.0f} MiB" for path in free if free[path] < least[path]]
    if short:
        raise Failed(", ".join(short))
    return ", ".join(f"{path} {bytes_free / GIB:.1f} GiB" for path, bytes_free in free.items())


def clock(
    container: Callable[[], bool] = in_container,
    synchronized: Callable[[], str] = lambda: output("timedatectl", "show", "--property=NTPSynchronized", "--value"),
) -> str:
    if container():
        raise Skipped("a container has its host's clock")
    if synchronized().strip() != "yes":
        raise Failed("not synchronized: the grace period of a key ends at another time, and AWS refuses requests")
    return "synchronized"


def checks(wait: float) -> list[Check]:
    return [
        Check(
            "the disks have free space",
            "service",
            "find what fills it: du --one-file-system / | sort -n, journalctl --namespace='*' --disk-usage",
            space,
        ),
        Check(
            "the clock is synchronized",
            "service",
            "timedatectl timesync-status or chronyc tracking; the instance reaches Amazon's time at 169.254.169.123",
            lambda: until(clock, min(wait, CLOCK_SECONDS)),
        ),
    ]
