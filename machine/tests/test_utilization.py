"""What an instance of a fleet publishes as its utilization."""

from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from botocore.exceptions import EndpointConnectionError

from qwen3 import utilization


def test_reads_the_output_of_nvidia_smi() -> None:
    lines = ["0\n", "37\n", "100\n", "[N/A]\n", "[Unknown Error]\n", "\n"]
    assert list(utilization.read_samples(lines)) == [0, 37, 100, 0, 0, 0]


def test_averages_each_minute() -> None:
    now = [0.0]

    def samples() -> Iterator[float]:
        for index in range(24):
            now[0] = 5.0 * (index + 1)
            yield 100.0 if index < 12 else 50.0

    assert list(utilization.averages(samples(), lambda: now[0])) == [100.0, 50.0]


def test_a_cpu_is_busy_unless_it_is_idle_or_waits_for_a_disk(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu 100 0 0 800 100 0 0 0 0 0\n")
    samples = utilization.cpu_samples(stat, lambda _: stat.write_text("cpu 130 0 0 850 120 0 0 0 0 0\n"))
    assert next(samples) == 30.0


def test_publishes_for_its_group_and_continues_after_an_outage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = mock.Mock()
    client.put_metric_data.side_effect = [EndpointConnectionError(endpoint_url="https://…"), None]
    variables = {"QWEN3_AUTO_SCALING_GROUP": "group", "AWS_REGION": "us-east-1", "QWEN3_ACCELERATOR": "cuda"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("boto3.client", mock.Mock(return_value=client))
    monkeypatch.setattr(utilization, "gpu_samples", lambda: ())
    monkeypatch.setattr(utilization, "averages", lambda _: [10.0, 70.123])
    with pytest.raises(SystemExit, match="nvidia-smi ended"):
        utilization.main("qwen3-embedding", "Utilization")
    printed = capsys.readouterr().out
    assert printed.startswith("not published: Could not connect to the endpoint")
    assert printed.count("\n") == 1
    published = client.put_metric_data.call_args.kwargs
    assert published["Namespace"] == "qwen3-embedding"
    assert published["MetricData"] == [
        {
            "MetricName": "Utilization",
            "Dimensions": [{"Name": "AutoScalingGroupName", "Value": "group"}],
            "Value": 70.12,
            "Unit": "Percent",
        }
    ]
