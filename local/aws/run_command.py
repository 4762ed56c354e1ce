"""Systems Manager: the public AMI parameter, and Run Command with AWS-RunShellScript on local instances."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

AMI_PARAMETERS = "/aws/service/deeplearning/ami/"
# Systems Manager truncates each output stream to this many characters.
OUTPUT_LIMIT = 24_000
TRUNCATED = "\n---Output truncated---"
CLEAN_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


class SystemsManagerError(Exception):
    """An error response of Systems Manager; `code` is the error's name there."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Invocation:
    status: str = "InProgress"
    exit_code: int = -1
    stdout: str = ""
    stderr: str = ""


class SystemsManager:
    """Implements GetParameter, SendCommand and GetCommandInvocation.

    `may_register` returns whether an instance profile's role lets the SSM agent register, which AWS requires before a
    command can be sent.
    """

    OPERATIONS = ("GetParameter", "SendCommand", "GetCommandInvocation")

    def __init__(self, state: Path, ami: str, may_register: Callable[[str], bool]) -> None:
        self.state = state
        self.ami = ami
        self.may_register = may_register
        self.invocations: dict[tuple[str, str], Invocation] = {}

    def answer(self, name: str, parameters: dict, region: str) -> dict:
        """Returns the response to one request. Raises SystemsManagerError."""
        if name == "GetParameter":
            return self._get_parameter(parameters, region)
        return self._send(parameters) if name == "SendCommand" else self._get_invocation(parameters)

    def _get_parameter(self, parameters: dict, region: str) -> dict:
        name = parameters["Name"]
        if not (name.startswith(AMI_PARAMETERS) and name.endswith("/latest/ami-id")):
            raise SystemsManagerError("ParameterNotFound")
        arn = f"arn:aws:ssm:{region}::parameter{name}"
        value = {"Name": name, "Type": "String", "Value": self.ami, "Version": 1, "ARN": arn, "DataType": "text"}
        return {"Parameter": value | {"LastModifiedDate": 0}}

    def _send(self, parameters: dict) -> dict:
        if parameters.get("DocumentName") != "AWS-RunShellScript":
            raise SystemsManagerError("InvalidDocument", "only AWS-RunShellScript is emulated: see run_command.py")
        instances = parameters.get("InstanceIds", [])
        leaders = {instance: self._registered(instance) for instance in instances}
        if not instances or None in leaders.values():
            raise SystemsManagerError("InvalidInstanceId", f"Instances {instances} not in a valid state for account")
        script = "\n".join(parameters["Parameters"]["commands"])
        timeout = int(parameters["Parameters"].get("executionTimeout", ["3600"])[0])
        command_id = str(uuid.uuid4())
        for instance, leader in leaders.items():
            invocation = self.invocations[command_id, instance] = Invocation()
            threading.Thread(target=_run, args=(invocation, leader, script, timeout), daemon=True).start()
        command = {"CommandId": command_id, "DocumentName": "AWS-RunShellScript", "InstanceIds": instances}
        return {"Command": command | {"Status": "Pending", "RequestedDateTime": time.time()}}

    def _get_invocation(self, parameters: dict) -> dict:
        key = (parameters["CommandId"], parameters["InstanceId"])
        if key not in self.invocations:
            raise SystemsManagerError("InvocationDoesNotExist")
        found = self.invocations[key]
        return {
            "CommandId": key[0],
            "InstanceId": key[1],
            "DocumentName": "AWS-RunShellScript",
            "PluginName": "aws:runShellScript",
            "ResponseCode": found.exit_code,
            "Status": found.status,
            "StatusDetails": found.status,
            "StandardOutputContent": found.stdout,
            "StandardErrorContent": found.stderr,
        }

    def _registered(self, instance: str) -> int | None:
        """The init process of an instance that AWS could send a command to: None if its role is insufficient too."""
        record = self._record(instance)
        profile = record and record.get("instanceProfile")
        return self.leader(instance) if profile and self.may_register(profile) else None

    def leader(self, instance: str) -> int | None:
        """The instance's init process. None if the instance is unknown or not running."""
        record = self._record(instance)
        if record is None:
            return None
        # The supervisor runs systemd-nspawn, which runs the instance's init.
        nspawn = _last_child(record["supervisorPid"])
        return nspawn and _last_child(nspawn)

    def _record(self, instance: str) -> dict | None:
        path = self.state / "instances" / f"{Path(instance).name}.json"
        return json.loads(path.read_text()) if path.exists() else None


def _last_child(pid: int) -> int | None:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return None
    return int(children[-1]) if children else None


def _run(invocation: Invocation, leader: int, script: str, timeout: int) -> None:
    try:
        done = subprocess.run(
            ["nsenter", "--target", str(leader), "--all", "/bin/sh", "-c", script],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            env=CLEAN_ENVIRONMENT,
        )
    except subprocess.TimeoutExpired:
        invocation.status = "TimedOut"
        return
    invocation.stdout, invocation.stderr = _shorten(done.stdout), _shorten(done.stderr)
    invocation.exit_code = done.returncode
    # Last, because a client that polls reads the output as soon as the status changes.
    invocation.status = "Success" if done.returncode == 0 else "Failed"


def _shorten(output: bytes) -> str:
    text = output.decode(errors="replace")
    return text if len(text) <= OUTPUT_LIMIT else text[: OUTPUT_LIMIT - len(TRUNCATED)] + TRUNCATED
