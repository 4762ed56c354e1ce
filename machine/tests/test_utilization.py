"""What an instance of a fleet publishes: how full it is."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
from botocore.exceptions import EndpointConnectionError

from qwen3 import utilization
from qwen3.utilization import Capacity, Figures, Snapshot, Workers

NAMES = ("TokensPerSecond", "TokensWaiting", "TokensPerSecondCapacity")


def snapshot(at: float, done: float = 0, started: float = 0.0, **rest: float) -> Snapshot:
    values = {"waiting_seconds": 0.0, "saturated_seconds": 0.0, "saturated_done": 0.0, "pace": 1000.0, **rest}
    return Snapshot(started=started, at=at, done=done, **values)


def test_sums_the_workers_of_a_minute() -> None:
    workers = Workers()
    assert workers.minute({"0": snapshot(60), "1": snapshot(60, 500)}) is None
    figures = workers.minute({"0": snapshot(120, 6000, waiting_seconds=600.0), "1": snapshot(120, 30_500)})
    assert figures == Figures(rate=600.0, waiting=10.0, capacity=2000.0)


def test_a_worker_that_was_started_anew_begins_anew() -> None:
    workers = Workers()
    workers.minute({"0": snapshot(60, 1_000_000), "1": snapshot(60)})
    figures = workers.minute({"0": snapshot(120, 10, started=90.0), "1": snapshot(120, 6000)})
    assert figures == Figures(rate=100.0, waiting=0.0, capacity=1000.0)
    figures = workers.minute({"0": snapshot(180, 3010, started=90.0), "1": snapshot(180, 6000)})
    assert figures == Figures(rate=50.0, waiting=0.0, capacity=2000.0)


def test_a_worker_that_is_gone_is_no_capacity() -> None:
    workers = Workers()
    workers.minute({"0": snapshot(60), "1": snapshot(60)})
    assert workers.minute({"1": snapshot(120, 6000)}) == Figures(100.0, 0.0, 1000.0)


def test_a_worker_can_do_what_it_does_while_work_waits() -> None:
    capacity = Capacity(1000.0)
    # A burst of a second is no measurement.
    capacity.learn(rate=10.0, saturated_seconds=1.0, saturated_done=100.0)
    assert capacity.value == 1000.0
    # Short texts, of which it computes fewer tokens.
    for _ in range(5):
        capacity.learn(rate=400.0, saturated_seconds=60.0, saturated_done=24_000.0)
    assert capacity.value == pytest.approx(400, rel=0.02)
    # Longer ones again: it has shown more without being saturated.
    capacity.learn(rate=700.0, saturated_seconds=0.0, saturated_done=0.0)
    assert capacity.value == 700.0


def test_an_idle_minute_changes_no_capacity() -> None:
    capacity = Capacity(1000.0)
    capacity.learn(rate=0.0, saturated_seconds=0.0, saturated_done=0.0)
    assert capacity.value == 1000.0


def test_reads_the_files_of_workers_that_write_them(tmp_path: Path) -> None:
    def write(worker: str, text: str) -> None:
        (tmp_path / worker).mkdir()
        (tmp_path / worker / "work.json").write_text(text)

    write("0", json.dumps(vars(snapshot(at=95.0))))
    write("1", json.dumps(vars(snapshot(at=10.0))))
    write("2", "{")
    write("3", '{"at": 95}')
    (tmp_path / "4").mkdir()
    assert utilization.read(tmp_path, lambda: 100.0) == {"0": snapshot(at=95.0)}
    assert utilization.read(tmp_path / "none") == {}


def test_publishes_once_in_each_of_cloudwatchs_minutes() -> None:
    assert utilization.until_next(600.0) == 30.0
    assert utilization.until_next(629.9) == pytest.approx(0.1)
    assert utilization.until_next(630.0) == 60.0
    assert utilization.until_next(659.0) == 31.0


@pytest.fixture
def systemctl(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, str | None], None]:
    def answer(returncode: int, state: str | None) -> None:
        run = mock.Mock(return_value=subprocess.CompletedProcess([], returncode))
        monkeypatch.setattr("subprocess.run", run)
        monkeypatch.setattr(utilization, "lifecycle_state", lambda: state)

    return answer


@pytest.mark.parametrize(
    ("returncode", "state", "expected"),
    [
        (0, "InService", True),
        # The metadata service could not be read.
        (0, None, True),
        # While it installs and loads.
        (3, "InService", False),
        (0, "Terminated", False),
        (0, "Standby", False),
    ],
)
def test_is_in_service_from_its_completed_launch_to_its_end(
    systemctl: Callable[[int, str | None], None], returncode: int, state: str | None, expected: bool
) -> None:
    systemctl(returncode, state)
    assert utilization.in_service() is expected


class EndOfTest(Exception):
    """Ends a program that runs without end."""


def test_publishes_for_its_group_while_in_service_and_continues_after_an_outage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = mock.Mock()
    client.put_metric_data.side_effect = [EndpointConnectionError(endpoint_url="https://…"), None]
    monkeypatch.setenv("QWEN3_AUTO_SCALING_GROUP", "group")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setattr("boto3.client", mock.Mock(return_value=client))
    minutes = iter({"0": snapshot(60.0 * minute, 6000.0 * minute)} for minute in range(1, 5))
    monkeypatch.setattr(utilization, "read", lambda _: next(minutes))
    monkeypatch.setattr(utilization, "in_service", mock.Mock(side_effect=[False, True, True]))
    monkeypatch.setattr("time.sleep", mock.Mock(side_effect=[None] * 4 + [EndOfTest]))
    with pytest.raises(EndOfTest):
        utilization.main("qwen3-embedding", *NAMES)
    printed = capsys.readouterr().out
    assert printed.startswith("not published: Could not connect to the endpoint")
    assert printed.count("\n") == 1
    assert client.put_metric_data.call_count == 2
    published = client.put_metric_data.call_args.kwargs
    assert published["Namespace"] == "qwen3-embedding"
    assert [(each["MetricName"], each["Value"]) for each in published["MetricData"]] == [
        ("TokensPerSecond", 100.0),
        ("TokensWaiting", 0.0),
        ("TokensPerSecondCapacity", 1000.0),
    ]
    dimensions = [each["Dimensions"] for each in published["MetricData"]]
    assert dimensions == [[{"Name": "AutoScalingGroupName", "Value": "group"}]] * 3
