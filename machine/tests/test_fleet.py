"""What a machine of a fleet tells AWS: that it answers, and how busy it is.

/usr/bin/python3 -m unittest discover -s machine/tests
"""

import contextlib
import io
import os
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1]))

from botocore.exceptions import ClientError, EndpointConnectionError  # noqa: E402

from qwen3 import utilization, ready  # noqa: E402


class Ready(unittest.TestCase):
    def complete(self, error: Exception | None = None) -> tuple[str, mock.Mock]:
        client = mock.Mock()
        client.complete_lifecycle_action.side_effect = error
        return ready.complete(client, "group", "ready", "i-0a"), client

    def test_completes_the_launch_of_this_machine(self) -> None:
        said, client = self.complete()
        client.complete_lifecycle_action.assert_called_once_with(
            AutoScalingGroupName="group", LifecycleHookName="ready", InstanceId="i-0a", LifecycleActionResult="CONTINUE"
        )
        self.assertEqual(said, "i-0a answers; told group")

    def test_has_nothing_to_complete_after_a_reboot(self) -> None:
        message = "No active Lifecycle Action found with instance ID i-0a"
        error = ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "CompleteLifecycleAction")
        self.assertEqual(self.complete(error)[0], "i-0a is in service already")

    def test_fails_for_any_other_reason_so_that_systemd_tries_again(self) -> None:
        for code, message in (("ValidationError", "Invalid lifecycle hook"), ("AccessDenied", "no")):
            error = ClientError({"Error": {"Code": code, "Message": message}}, "CompleteLifecycleAction")
            with self.assertRaises(ClientError):
                self.complete(error)

    def test_says_in_one_line_why_it_could_not_tell(self) -> None:
        denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "CompleteLifecycleAction")
        variables = {"QWEN3_AUTO_SCALING_GROUP": "group", "AWS_REGION": "us-east-1"}
        with (
            mock.patch.dict(os.environ, variables),
            mock.patch.object(ready, "answers", return_value=True),
            mock.patch.object(ready, "instance_id", return_value="i-0a"),
            mock.patch.object(ready, "complete", side_effect=denied),
            mock.patch.object(ready.boto3, "client"),
            self.assertRaisesRegex(SystemExit, "^this machine answers, but group could not be told: .*AccessDenied"),
        ):
            ready.main("ready")

    def test_waits_until_the_machine_answers(self) -> None:
        answers = iter([False, False, True])
        slept: list[float] = []
        ready.wait(lambda: next(answers), slept.append)
        self.assertEqual(len(slept), 2)

    def test_takes_nothing_that_listens_for_an_answer(self) -> None:
        # Nothing listens on 443 here, or it is not this machine's nginx.
        with mock.patch.object(ready, "HEALTH", "https://127.0.0.1:9/health"):
            self.assertFalse(ready.answers())


class Load(unittest.TestCase):
    def test_reads_what_nvidia_smi_prints(self) -> None:
        lines = ["0\n", "37\n", "100\n", "[N/A]\n", "[Unknown Error]\n", "\n"]
        self.assertEqual(list(load.read_samples(lines)), [0, 37, 100, 0, 0, 0])

    def test_averages_each_minute(self) -> None:
        now = [0.0]

        def samples():
            for index in range(24):
                now[0] = 5.0 * (index + 1)
                yield 100.0 if index < 12 else 50.0

        self.assertEqual(list(load.averages(samples(), lambda: now[0])), [100.0, 50.0])

    def test_counts_a_cpu_as_busy_unless_it_is_idle_or_waits_for_a_disk(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            stat = Path(folder, "stat")
            stat.write_text("cpu 100 0 0 800 100 0 0 0 0 0\n")
            samples = load.cpu_samples(stat, lambda _: stat.write_text("cpu 130 0 0 850 120 0 0 0 0 0\n"))
            self.assertEqual(next(samples), 30.0)

    def test_publishes_for_its_group_and_lives_through_an_outage(self) -> None:
        client = mock.Mock()
        client.put_metric_data.side_effect = [EndpointConnectionError(endpoint_url="https://…"), None]
        variables = {"QWEN3_AUTO_SCALING_GROUP": "group", "AWS_REGION": "us-east-1", "QWEN3_ACCELERATOR": "cuda"}
        with (
            mock.patch.dict(os.environ, variables),
            mock.patch.object(load.boto3, "client", return_value=client),
            mock.patch.object(load, "gpu_samples", return_value=()),
            mock.patch.object(load, "averages", return_value=[10.0, 70.123]),
            contextlib.redirect_stdout(io.StringIO()) as said,
            self.assertRaisesRegex(SystemExit, "nvidia-smi ended"),
        ):
            load.main("qwen3-embedding", "Utilization")
        self.assertRegex(said.getvalue(), r"^not published: Could not connect to the endpoint[^\n]+\n$")
        asked = client.put_metric_data.call_args.kwargs
        self.assertEqual(asked["Namespace"], "qwen3-embedding")
        self.assertEqual(
            asked["MetricData"],
            [
                {
                    "MetricName": "Utilization",
                    "Dimensions": [{"Name": "AutoScalingGroupName", "Value": "group"}],
                    "Value": 70.12,
                    "Unit": "Percent",
                }
            ],
        )


if __name__ == "__main__":
    unittest.main()
