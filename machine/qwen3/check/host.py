"""The instance itself: disks, clock, kernel and upgrades."""

import os
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


UPGRADER = Path("/usr/bin/unattended-upgrade")


def upgrades(
    container: Callable[[], bool] = in_container,
    ask: Callable[..., str] = output,
    kernel: str = os.uname().release,
    upgrader: Path = UPGRADER,
) -> str:
    """Whether the kernel stays, so that the driver goes on working, and the rest is upgraded."""
    if container():
        raise Skipped("a container has its host's kernel")
    image = f"linux-image-{kernel}"
    installed = ask("dpkg-query", "--show", "--showformat=${Package}\n").split()
    if image in installed and image not in ask("apt-mark", "showhold").split():
        raise Failed(f"{image} is not held: an upgrade may bring a kernel without the driver")
    if not upgrader.exists():
        return f"{kernel} stays; unattended-upgrades is not installed, so upgrades come with the image"
    if '"1"' not in ask("apt-config", "dump", "APT::Periodic::Unattended-Upgrade"):
        raise Failed("unattended upgrades are off: APT::Periodic::Unattended-Upgrade is not 1")
    return f"{kernel} stays; the rest is upgraded daily"


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
        Check(
            "the kernel is held, the rest is upgraded",
            "service",
            "sudo apt-mark hold linux-image-$(uname -r); for upgrades, compare /etc/apt/apt.conf.d/90qwen3",
            upgrades,
        ),
    ]
