"""python -m qwen3.utilization NAMESPACE METRIC: publishes this instance's utilization once a minute, in percent.

With GPUs, it is the fraction of time in which a kernel ran, by nvidia-smi, over all GPUs. Without, it is that of the
CPUs. The number of requests is not a measure, because one may cost a thousand times as much as another.

Cost per instance in 30 days: 43,200 PutMetricData at $0.01 per 1,000, $0.43; and once per fleet, $0.30 for the metric.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from .clients import options
from .environment import required

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

SAMPLE_SECONDS = 5
PUBLISH_SECONDS = 60.0


def gpu_samples() -> Iterator[float]:
    """Percent of one GPU after another, every few seconds. Ends when nvidia-smi does."""
    command = [
        *("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"),
        f"--loop={SAMPLE_SECONDS}",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield from read_samples(process.stdout or ())


def read_samples(lines: Iterable[str]) -> Iterator[float]:
    """The numbers of nvidia-smi's output; a GPU with `[N/A]` counts as idle."""
    for line in lines:
        text = line.strip()
        yield float(text) if text.replace(".", "", 1).isdigit() else 0.0


def cpu_samples(stat: Path = Path("/proc/stat"), sleep: Callable[[float], object] = time.sleep) -> Iterator[float]:
    busy, total = cpu_times(stat)
    while True:
        sleep(SAMPLE_SECONDS)
        last_busy, last_total = busy, total
        busy, total = cpu_times(stat)
        yield 100 * (busy - last_busy) / max(total - last_total, 1)


def cpu_times(stat: Path) -> tuple[int, int]:
    """Busy and all time of the CPUs since the boot, in ticks; proc_stat(5)."""
    # user nice system idle iowait irq softirq steal; guests are within user already.
    times = [int(each) for each in stat.read_text().splitlines()[0].split()[1:9]]
    return sum(times) - times[3] - times[4], sum(times)


def averages(samples: Iterable[float], clock: Callable[[], float] = time.monotonic) -> Iterator[float]:
    """The mean of every minute's samples."""
    collected: list[float] = []
    begin = clock()
    for sample in samples:
        collected.append(sample)
        if clock() - begin >= PUBLISH_SECONDS:
            yield sum(collected) / len(collected)
            collected, begin = [], clock()


def main(namespace: str, metric: str) -> None:
    group = required("QWEN3_AUTO_SCALING_GROUP")
    client = boto3.client("cloudwatch", **options(connect_timeout=5, read_timeout=10, max_attempts=3))
    samples = gpu_samples() if os.environ.get("QWEN3_ACCELERATOR") == "cuda" else cpu_samples()
    for value in averages(samples):
        datum: MetricDatumTypeDef = {
            "MetricName": metric,
            "Dimensions": [{"Name": "AutoScalingGroupName", "Value": group}],
            "Value": round(value, 2),
            "Unit": "Percent",
        }
        try:
            client.put_metric_data(Namespace=namespace, MetricData=[datum])
        except (BotoCoreError, ClientError) as error:
            # One missing minute is no reason to restart.
            print(f"not published: {error}", flush=True)
    sys.exit("nvidia-smi ended")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m qwen3.utilization NAMESPACE METRIC")
    main(*sys.argv[1:])
