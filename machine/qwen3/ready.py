"""python -m qwen3.ready HOOK: waits until this machine answers, then completes its launch in the Auto Scaling group.

Until then the group neither sends it clients nor counts it. After a reboot there is nothing to complete any more.
"""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from .environment import required

HEALTH = "https://127.0.0.1/health"
METADATA = "http://169.254.169.254/latest"
POLL_SECONDS = 2.0


def answers() -> bool:
    """Whether /health, as the load balancer asks it, says 200."""
    # The certificate is for the endpoint's name; whoever answers on this address is this machine.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(HEALTH, timeout=10, context=context) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def instance_id() -> str:
    """This machine's ID from the metadata service, version 2. Raises OSError."""
    # Never through a proxy.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    asked = urllib.request.Request(
        f"{METADATA}/api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    )
    with opener.open(asked, timeout=5) as answer:
        token = answer.read().decode()
    asked = urllib.request.Request(
        f"{METADATA}/dynamic/instance-identity/document", headers={"X-aws-ec2-metadata-token": token}
    )
    with opener.open(asked, timeout=5) as answer:
        return str(json.load(answer)["instanceId"])


def complete(autoscaling: object, group: str, hook: str, instance: str) -> str:
    """Let the launch go on; answers what became of it. Raises botocore's errors."""
    try:
        autoscaling.complete_lifecycle_action(  # type: ignore[attr-defined]
            AutoScalingGroupName=group, LifecycleHookName=hook, InstanceId=instance, LifecycleActionResult="CONTINUE"
        )
    except ClientError as error:
        said = error.response["Error"]
        if said["Code"] == "ValidationError" and "No active Lifecycle Action" in said.get("Message", ""):
            return f"{instance} is in service already"
        raise
    return f"{instance} answers; told {group}"


def wait(answering: Callable[[], bool], sleep: Callable[[float], object] = time.sleep) -> None:
    while not answering():
        sleep(POLL_SECONDS)


def main(hook: str) -> None:
    group = required("QWEN3_AUTO_SCALING_GROUP")
    wait(answers)
    client = boto3.client(
        "autoscaling",
        region_name=required("AWS_REGION"),
        endpoint_url=os.environ.get("AWS_ENDPOINT_URL") or None,
        config=Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "max_attempts": 5}),
    )
    try:
        print(complete(client, group, hook, instance_id()), flush=True)
    except (BotoCoreError, ClientError, OSError) as error:
        # One line for the journal; systemd begins again.
        sys.exit(f"this machine answers, but {group} could not be told: {error}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m qwen3.ready HOOK")
    main(sys.argv[1])
