"""python -m qwen3.health: tells the Auto Scaling group when this instance is beyond help.

The group itself checks only whether EC2 runs the instance, and the load balancer only where to send requests: a worker
may take longer to start than a load balancer waits. So the instance says itself that it must be replaced: after five
minutes without a healthy worker, or when the driver reports that a GPU needs a reset.
"""

import contextlib
import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from .clients import describe, options
from .ready import instance_id, serves

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient

PATIENCE_SECONDS = 300.0
"""Without a healthy worker."""
POLL_SECONDS = 10.0
SERVED = "served"
"""Below the unit's state directory: the ID of the instance that has served. An image of the disk has another ID."""
KERNEL_LOG = ("journalctl", "--dmesg", "--follow", "--lines=all", "--output=cat", "--quiet")
"""From the boot on: a GPU that needs a reset still does when this program is restarted."""
XID = re.compile(r"NVRM: Xid \([^)]*\): (\d+)(.*)")
RECOVERY = re.compile(r"recovery action changed .* to 0x\d+ \(.*(?:Reset|Reboot)", re.IGNORECASE)
"""Of Xid 154, with which the driver says what a GPU needs after other errors."""
RECOVERY_CHANGED = 154
RESETS = {
    46: "the GPU stopped processing",
    62: "the GPU's microcontroller halted",
    64: "a part of the GPU's memory could not be remapped",
    79: "the GPU has fallen off the bus",
    95: "a memory error was not contained",
    109: "a context switch of the GPU timed out",
    110: "the GPU reported a security fault",
    119: "the GPU's system processor does not respond",
    120: "the GPU's system processor failed",
    136: "a link of the GPU could not be trained",
    140: "a memory error was not corrected",
    143: "the GPU could not be initialized",
    155: "NVLink failed",
    156: "a part of the GPU was retired",
    158: "the GPU timed out",
}
"""The errors for which NVIDIA's catalogue asks to reset the GPU or to restart the host. Most others (13, 31, 43, 45,
94) end a process, and systemd restarts the worker.
https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html, of October 2025"""


def fatal_errors(lines: Iterable[str]) -> Iterator[str]:
    """The reasons in the kernel's log, as they come."""
    for line in lines:
        if found := XID.match(line):
            code = int(found[1])
            if code in RESETS:
                yield f"the driver reported Xid {code}: {RESETS[code]}"
            elif code == RECOVERY_CHANGED and RECOVERY.search(found[2]):
                yield f"the driver reported Xid {code}: the GPU needs a reset, or the host a reboot"


def follow(found: "queue.SimpleQueue[str]", command: Sequence[str] = KERNEL_LOG) -> None:
    """Reads the kernel's log until its command ends, and begins anew."""
    while True:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as process:
            for reason in fatal_errors(process.stdout or ()):
                found.put(reason)
        print(f"{command[0]} ended with status {process.returncode}; the kernel's log is read again", flush=True)
        time.sleep(POLL_SECONDS)


class Silence:
    """For how long this instance has had no healthy worker."""

    def __init__(self, mark: Path, instance: str, clock: Callable[[], float] = time.monotonic) -> None:
        """mark: the file that says that this instance has served, so that a reboot is no first boot"""
        self._mark, self._instance, self._clock = mark, instance, clock
        with contextlib.suppress(OSError):
            if mark.read_text() == instance:
                self._since: float | None = clock()
                return
        # A first boot installs for a quarter of an hour or more. The group's lifecycle hook has its time limit.
        self._since = None

    def observe(self, healthy: bool) -> float:
        """Seconds since the last healthy worker, or since this program started; 0 before there was one."""
        if healthy:
            if self._since is None:
                self._mark.write_text(self._instance)
            self._since = self._clock()
        return 0.0 if self._since is None else self._clock() - self._since


def measuring() -> bool:
    """Whether qwen3-tune runs, for which worker 0 does not serve."""
    return subprocess.run(["systemctl", "is-active", "--quiet", "qwen3-tune.service"], check=False).returncode == 0


def report(client: "AutoScalingClient", instance: str, reason: str) -> bool:
    """Whether AWS has been told."""
    try:
        client.set_instance_health(InstanceId=instance, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False)
    except (BotoCoreError, ClientError) as error:
        print(f"{instance} is beyond help ({reason}), but the group could not be told: {describe(error)}", flush=True)
        return False
    print(f"{instance} is beyond help, and the group was told to replace it: {reason}", flush=True)
    return True


def watch(
    client: "AutoScalingClient",
    instance: str,
    silence: Silence,
    errors: "queue.SimpleQueue[str]",
    healthy: Callable[[], bool] = serves,
    paused: Callable[[], bool] = measuring,
    poll: float = POLL_SECONDS,
) -> None:
    """Returns once AWS has been told that this instance is beyond help. Polls every `poll` seconds."""
    fatal: str | None = None
    while True:
        with contextlib.suppress(queue.Empty):
            fatal = errors.get(timeout=poll)
        silent = silence.observe(healthy())
        reason = fatal
        if fatal is None and silent >= PATIENCE_SECONDS and not paused():
            reason = f"no healthy worker for {silent:.0f} s"
        if reason is not None:
            if report(client, instance, reason):
                return
            time.sleep(poll)


def main() -> None:
    instance = instance_id()
    client = boto3.client("autoscaling", **options(connect_timeout=5, read_timeout=10))
    errors: queue.SimpleQueue[str] = queue.SimpleQueue()
    if os.environ.get("QWEN3_ACCELERATOR") == "cuda":
        threading.Thread(target=follow, args=(errors,), daemon=True).start()
    watch(client, instance, Silence(Path(os.environ["STATE_DIRECTORY"]) / SERVED, instance), errors)
    # systemd starts it again: a group whose health checks are suspended must hear it again later.
    time.sleep(PATIENCE_SECONDS)


if __name__ == "__main__":
    if len(sys.argv) != 1:
        sys.exit("usage: python -m qwen3.health")
    main()
