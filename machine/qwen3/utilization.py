"""python -m qwen3.utilization NAMESPACE RATE WAITING CAPACITY: publishes once a minute how full this instance is.

Three metrics, each the sum of the workers: tokens per second; tokens that waited for an engine, on average; and the
tokens per second that the workers have shown they can compute. The scaling policy divides the first two by the third.
The share of time in which a kernel ran is no measure: small requests far below the capacity read 70 to 100 %. Nor is
the number of requests, because one may cost a thousand times as much as another.

Nothing is published before the instance is in service, or once it leaves the group.

Cost per instance in 30 days: 43,200 PutMetricData at $0.01 per 1,000, $0.43; and once per fleet, $0.90 for the metrics.
"""

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from .clients import options
from .contract import WORK, WORKERS
from .environment import required
from .ready import lifecycle_state

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

PUBLISH_SECONDS = 60
OFFSET_SECONDS = 30
"""Into the minute: so each minute of CloudWatch has one value of each instance, and their sum and number are right."""
STALE_SECONDS = 30.0
"""Workers write every five seconds. An older file is of one that hangs."""
LEAST_SATURATED_SECONDS = 3.0
"""In one minute, to measure what a worker can do."""
LEARNING_SECONDS = 60.0
"""Of saturation, after which two thirds of a worker's capacity are what was measured."""


@dataclass(frozen=True)
class Snapshot:
    """One worker's file. Times in seconds of the monotonic clock, which all processes share."""

    started: float
    at: float
    done: float
    waiting_seconds: float
    saturated_seconds: float
    saturated_done: float
    pace: float


@dataclass(frozen=True)
class Figures:
    rate: float
    """Tokens per second."""
    waiting: float
    """Tokens, on average."""
    capacity: float
    """Tokens per second that the workers can compute."""


class Capacity:
    """What one worker can compute, in tokens per second: at first what it measured at its start, then what it computes
    while work waits, because that depends on the texts."""

    def __init__(self, pace: float) -> None:
        self.value = pace

    def learn(self, rate: float, saturated_seconds: float, saturated_done: float) -> None:
        """From one minute."""
        if saturated_seconds >= LEAST_SATURATED_SECONDS:
            weight = 1 - math.exp(-saturated_seconds / LEARNING_SECONDS)
            self.value += weight * (saturated_done / saturated_seconds - self.value)
        self.value = max(self.value, rate)


class Workers:
    """Figures of a minute from the snapshots at its begin and its end."""

    def __init__(self) -> None:
        self._last: dict[str, Snapshot] = {}
        self._capacities: dict[str, Capacity] = {}

    def minute(self, snapshots: Mapping[str, Snapshot]) -> Figures | None:
        """None if no worker has been observed for a whole minute."""
        figures = []
        for name, now in snapshots.items():
            last = self._last.get(name)
            if last is None or last.started != now.started:
                self._capacities[name] = Capacity(now.pace)
            elif now.at > last.at:
                figures.append(self._of(name, last, now))
        self._last = dict(snapshots)
        if not figures:
            return None
        return Figures(*(sum(getattr(each, field) for each in figures) for field in ("rate", "waiting", "capacity")))

    def _of(self, name: str, last: Snapshot, now: Snapshot) -> Figures:
        seconds = now.at - last.at
        rate = (now.done - last.done) / seconds
        capacity = self._capacities[name]
        capacity.learn(rate, now.saturated_seconds - last.saturated_seconds, now.saturated_done - last.saturated_done)
        return Figures(rate, (now.waiting_seconds - last.waiting_seconds) / seconds, capacity.value)


def read(folder: Path, clock: Callable[[], float] = time.monotonic) -> dict[str, Snapshot]:
    """The workers' files, by worker, without those of workers that hang."""
    found = {}
    for path in sorted(folder.glob(f"*/{WORK}")):
        try:
            snapshot = Snapshot(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            # Its worker has just ended.
            continue
        if clock() - snapshot.at <= STALE_SECONDS:
            found[path.parent.name] = snapshot
    return found


def in_service() -> bool:
    """Whether this instance has completed its launch, and the group does not end it."""
    completed = subprocess.run(["systemctl", "is-active", "--quiet", "qwen3-ready.service"], check=False)
    return completed.returncode == 0 and lifecycle_state() in ("InService", None)


def publish(client: "CloudWatchClient", namespace: str, names: Sequence[str], group: str, figures: Figures) -> None:
    values = zip(names, (figures.rate, figures.waiting, figures.capacity), strict=True)
    try:
        client.put_metric_data(
            Namespace=namespace,
            MetricData=[
                {
                    "MetricName": name,
                    "Dimensions": [{"Name": "AutoScalingGroupName", "Value": group}],
                    "Value": round(value, 2),
                }
                for name, value in values
            ],
        )
    except (BotoCoreError, ClientError) as error:
        # One missing minute is no reason to restart.
        print(f"not published: {error}", flush=True)


def until_next(now: float) -> float:
    """Seconds until the next time to publish."""
    return PUBLISH_SECONDS - (now - OFFSET_SECONDS) % PUBLISH_SECONDS


def main(namespace: str, *names: str) -> None:
    group = required("QWEN3_AUTO_SCALING_GROUP")
    client = boto3.client("cloudwatch", **options(connect_timeout=5, read_timeout=10, max_attempts=3))
    workers = Workers()
    while True:
        time.sleep(until_next(time.time()))
        figures = workers.minute(read(WORKERS))
        if figures is not None and in_service():
            publish(client, namespace, names, group, figures)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit("usage: python -m qwen3.utilization NAMESPACE RATE WAITING CAPACITY")
    main(*sys.argv[1:])
