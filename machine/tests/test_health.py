"""An instance of a fleet says itself when it is beyond help."""

import queue
import sys
import threading
from pathlib import Path
from unittest import mock

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from qwen3 import health

ME = "i-0a"


class Watched:
    """A watch whose every poll is one step of a script: whether /health returned 200, and how long the step took."""

    def __init__(self, tmp_path: Path, steps: list[tuple[bool, float]], served: str | None = None) -> None:
        self.now = 1000.0
        self.steps = iter(steps)
        mark = tmp_path / health.SERVED
        if served is not None:
            mark.write_text(served)
        self.mark = mark
        self.silence = health.Silence(mark, ME, lambda: self.now)
        self.client = mock.Mock()
        self.errors: queue.SimpleQueue[str] = queue.SimpleQueue()

    def healthy(self) -> bool:
        healthy, seconds = next(self.steps)
        self.now += seconds
        return healthy

    def run(self, paused: bool = False) -> None:
        """Ends with StopIteration, here RuntimeError's cause, when the script ends without a report."""
        health.watch(self.client, ME, self.silence, self.errors, self.healthy, lambda: paused, poll=0.001)

    def reported(self) -> bool:
        return bool(self.client.set_instance_health.called)


def test_reports_an_instance_without_a_healthy_worker_for_five_minutes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watched = Watched(tmp_path, [(True, 10), *[(False, 10)] * 30])
    watched.run()
    watched.client.set_instance_health.assert_called_once_with(
        InstanceId=ME, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False
    )
    assert next(watched.steps, None) is None, "reported before the five minutes were over"
    assert capsys.readouterr().out == (
        "i-0a is beyond help, and the group was told to replace it: no healthy worker for 300 s\n"
    )


def test_a_worker_that_returns_in_time_is_no_reason(tmp_path: Path) -> None:
    watched = Watched(tmp_path, [(True, 10), *[(False, 10)] * 29, (True, 10), *[(False, 10)] * 29])
    with pytest.raises(StopIteration):
        watched.run()
    assert not watched.reported()


def test_a_first_boot_may_take_as_long_as_the_lifecycle_hook_allows(tmp_path: Path) -> None:
    watched = Watched(tmp_path, [(False, 10)] * 300)
    with pytest.raises(StopIteration):
        watched.run()
    assert not watched.reported()
    assert not watched.mark.exists()


def test_a_reboot_is_no_first_boot(tmp_path: Path) -> None:
    Watched(tmp_path, [(True, 10)]).silence.observe(True)
    watched = Watched(tmp_path, [(False, 10)] * 30)
    watched.run()
    assert watched.reported()


def test_an_image_of_an_instance_that_has_served_boots_for_the_first_time(tmp_path: Path) -> None:
    watched = Watched(tmp_path, [(False, 10)] * 60, served="i-another")
    with pytest.raises(StopIteration):
        watched.run()
    assert not watched.reported()


def test_a_measurement_with_qwen3_tune_is_no_reason(tmp_path: Path) -> None:
    watched = Watched(tmp_path, [(True, 10), *[(False, 10)] * 100])
    with pytest.raises(StopIteration):
        watched.run(paused=True)
    assert not watched.reported()


def test_an_error_of_the_driver_is_reported_at_once_even_while_workers_are_healthy(tmp_path: Path) -> None:
    watched = Watched(tmp_path, [(True, 10)])
    watched.errors.put("the driver reported Xid 79: the GPU has fallen off the bus")
    watched.run(paused=True)
    assert watched.reported()


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://…"),
        ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "SetInstanceHealth"),
    ],
)
def test_reports_again_until_aws_has_been_told(
    error: Exception, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watched = Watched(tmp_path, [(True, 10)] * 2)
    watched.client.set_instance_health.side_effect = [error, None]
    watched.errors.put("the driver reported Xid 79: the GPU has fallen off the bus")
    watched.run()
    first, second = capsys.readouterr().out.splitlines()
    assert "(the driver reported Xid 79" in first
    assert "but the group could not be told" in first
    assert second.startswith("i-0a is beyond help, and the group was told")


def test_an_instance_that_recovers_while_aws_is_down_is_not_reported(tmp_path: Path) -> None:
    watched = Watched(tmp_path, [(True, 10), *[(False, 10)] * 30, (True, 10)])
    watched.client.set_instance_health.side_effect = EndpointConnectionError(endpoint_url="https://…")
    with pytest.raises(StopIteration):
        watched.run()
    assert watched.client.set_instance_health.call_count == 1


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("NVRM: Xid (PCI:0000:59:00): 79, pid=4000, name=python3, GPU has fallen off the bus.", 79),
        ("NVRM: Xid (PCI:0000:04:00): 119, pid=1, name=x, Timeout after 6s of waiting for RPC response", 119),
        (
            "NVRM: Xid (PCI:0000:04:00): 154, GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot)",
            154,
        ),
        (
            "NVRM: Xid (PCI:0000:04:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)",
            154,
        ),
    ],
)
def test_reads_the_errors_that_need_a_reset(line: str, code: int) -> None:
    [reason] = health.fatal_errors([line + "\n"])
    assert reason.startswith(f"the driver reported Xid {code}: ")


@pytest.mark.parametrize(
    "line",
    [
        # Of a process that ended or was killed.
        "NVRM: Xid (PCI:0000:59:00): 13, pid=4000, name=python3, Graphics Exception: ESR 0x50df30=0x107000e",
        "NVRM: Xid (PCI:0000:59:00): 31, pid=4000, name=python3, MMU Fault",
        "NVRM: Xid (PCI:0000:59:00): 43, pid=4000, name=python3, Ch 00000008",
        "NVRM: Xid (PCI:0000:59:00): 45, pid=4000, name=python3, Ch 00000008",
        "NVRM: Xid (PCI:0000:59:00): 94, pid=4000, name=python3, Contained: SM",
        "NVRM: Xid (PCI:0000:04:00): 154, GPU recovery action changed from 0x2 (Node Reboot Required) to 0x0 (None)",
        # A name that a process gave itself.
        "NVRM: Xid (PCI:0000:59:00): 43, pid=4000, name=NVRM: Xid (PCI:0000:59:00): 79, x",
        "audit: NVRM: Xid (PCI:0000:59:00): 79",
        "",
    ],
)
def test_ignores_other_lines(line: str) -> None:
    assert list(health.fatal_errors([line])) == []


def test_follows_the_log_while_its_command_runs() -> None:
    lines = "print('NVRM: Xid (PCI:0000:59:00): 43, x'); print('NVRM: Xid (PCI:0000:59:00): 79, x', flush=True)"
    command = [sys.executable, "-c", f"{lines}; import time; time.sleep(60)"]
    found: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=health.follow, args=(found, command), daemon=True).start()
    assert found.get(timeout=20).startswith("the driver reported Xid 79")
    assert found.empty()
