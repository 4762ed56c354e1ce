"""An instance of a fleet completes its launch once it serves."""

from unittest import mock

import pytest
from botocore.exceptions import ClientError

from qwen3 import ready


def lifecycle_error(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "CompleteLifecycleAction")


def complete(error: Exception | None = None) -> tuple[str, mock.Mock]:
    client = mock.Mock()
    client.complete_lifecycle_action.side_effect = error
    return ready.complete(client, "group", "ready", "i-0a"), client


def test_completes_the_launch_of_this_instance() -> None:
    message, client = complete()
    client.complete_lifecycle_action.assert_called_once_with(
        AutoScalingGroupName="group", LifecycleHookName="ready", InstanceId="i-0a", LifecycleActionResult="CONTINUE"
    )
    assert message == "i-0a serves; completed its launch in group"


def test_has_nothing_to_complete_after_a_reboot() -> None:
    error = lifecycle_error("ValidationError", "No active Lifecycle Action found with instance ID i-0a")
    assert complete(error)[0] == "i-0a is in service already"


@pytest.mark.parametrize(("code", "message"), [("ValidationError", "Invalid lifecycle hook"), ("AccessDenied", "no")])
def test_fails_for_any_other_reason_so_that_systemd_retries(code: str, message: str) -> None:
    with pytest.raises(ClientError):
        complete(lifecycle_error(code, message))


def test_reports_in_one_line_why_the_launch_was_not_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWEN3_AUTO_SCALING_GROUP", "group")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setattr(ready, "serves", lambda: True)
    monkeypatch.setattr(ready, "instance_id", lambda: "i-0a")
    monkeypatch.setattr(ready, "complete", mock.Mock(side_effect=lifecycle_error("AccessDenied", "no")))
    monkeypatch.setattr("boto3.client", mock.Mock())
    expected = r"^this instance serves, but its launch in group could not be completed: .*AccessDenied"
    with pytest.raises(SystemExit, match=expected):
        ready.main("ready")


def test_waits_until_the_instance_serves() -> None:
    serves = iter([False, False, True])
    slept: list[float] = []
    ready.wait(lambda: next(serves), slept.append)
    assert len(slept) == 2


def test_an_endpoint_that_cannot_be_reached_does_not_serve() -> None:
    assert not ready.serves("https://127.0.0.1:9/health")
