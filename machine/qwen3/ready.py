"""python -m qwen3.ready HOOK: waits until this instance serves, then completes its launch in the Auto Scaling group.

Until then, the group sends it no requests and does not count it. After a reboot, there is no launch to complete.
"""

import json
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from .clients import options
from .contract import HEALTH
from .environment import required

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient

METADATA = "http://169.254.169.254/latest"
POLL_SECONDS = 2.0


def serves(url: str = f"https://127.0.0.1{HEALTH.path}") -> bool:
    """Whether the route that the load balancer checks returns 200."""
    # The certificate is for the endpoint's name, but this address is always this instance.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(url, timeout=10, context=context) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def instance_id() -> str:
    """This instance's ID from the metadata service, version 2. Raises OSError."""
    return str(json.loads(metadata("dynamic/instance-identity/document"))["instanceId"])


def lifecycle_state() -> str | None:
    """The state to which the group moves this instance, such as InService or Terminated. None if unknown."""
    try:
        return metadata("meta-data/autoscaling/target-lifecycle-state")
    except OSError:
        return None


def metadata(path: str) -> str:
    """A text of the metadata service, version 2. Raises OSError."""
    # Never through a proxy.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(
        f"{METADATA}/api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    )
    with opener.open(request, timeout=5) as response:
        token = response.read().decode()
    request = urllib.request.Request(f"{METADATA}/{path}", headers={"X-aws-ec2-metadata-token": token})
    with opener.open(request, timeout=5) as response:
        return str(response.read().decode())


def complete(client: "AutoScalingClient", group: str, hook: str, instance: str) -> str:
    """Completes the launch. Returns a log line. Raises botocore's errors."""
    try:
        client.complete_lifecycle_action(
            AutoScalingGroupName=group, LifecycleHookName=hook, InstanceId=instance, LifecycleActionResult="CONTINUE"
        )
    except ClientError as error:
        details = error.response["Error"]
        if details["Code"] == "ValidationError" and "No active Lifecycle Action" in details.get("Message", ""):
            return f"{instance} is in service already"
        raise
    return f"{instance} serves; completed its launch in {group}"


def wait(ready: Callable[[], bool], sleep: Callable[[float], object] = time.sleep) -> None:
    while not ready():
        sleep(POLL_SECONDS)


def main(hook: str) -> None:
    group = required("QWEN3_AUTO_SCALING_GROUP")
    wait(serves)
    client = boto3.client("autoscaling", **options(connect_timeout=5, read_timeout=10))
    try:
        print(complete(client, group, hook, instance_id()), flush=True)
    except (BotoCoreError, ClientError, OSError) as error:
        # One line for the journal; systemd starts this program again.
        sys.exit(f"this instance serves, but its launch in {group} could not be completed: {error}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m qwen3.ready HOOK")
    main(sys.argv[1])
