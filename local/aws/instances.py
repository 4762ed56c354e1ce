"""EC2's view of the local instances and their addresses, which the environment's files describe.

DIR/instances/ID.json   one for each instance, with the ID of the process that runs it
DIR/addresses.json      "public": allocation IDs by address; "associations": instance IDs by allocation ID

moto knows neither: requests without IDs, and those for others, are left to it.
"""

from __future__ import annotations

import datetime
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"


class Instances:
    """Implements DescribeAddresses, AssociateAddress, DescribeInstances and TerminateInstances, each for one ID."""

    def __init__(self, state: Path, leader: Callable[[str], int | None]) -> None:
        """leader: returns the process ID of an instance's init, None if it is not running."""
        self._state = state
        self._leader = leader

    def answer(self, name: str, parameters: dict) -> str | None:
        """The response in XML; None if moto has to answer."""
        if name == "DescribeAddresses":
            return self._addresses(parameters.get("AllocationId.1", ""))
        if name == "AssociateAddress":
            return self._associate(parameters.get("AllocationId", ""), parameters.get("InstanceId", ""))
        if name in ("DescribeInstances", "TerminateInstances"):
            instance = parameters.get("InstanceId.1", "")
            record = self._record(instance)
            if record is None:
                return None
            return self._describe(instance, record) if name == "DescribeInstances" else self._terminate(instance)
        return None

    def _known(self) -> dict:
        path = self._state / "addresses.json"
        return json.loads(path.read_text()) if path.exists() else {"public": {}}

    def _address(self, allocation: str) -> str | None:
        return next((each for each, owner in self._known()["public"].items() if owner == allocation), None)

    def _associate(self, allocation: str, instance: str) -> str | None:
        """Moves the address, as local/container.ts does."""
        address, record = self._address(allocation), self._record(instance)
        if address is None or record is None:
            return None
        on = [f"{address}/24", "dev", "eth0"]
        for path in (self._state / "instances").glob("*.json"):
            ip("-netns", json.loads(path.read_text())["namespace"], "address", "delete", *on)
        ip("-netns", record["namespace"], "address", "add", *on)
        # Otherwise the host keeps sending to the instance that had the address before.
        ip("neighbour", "flush", "to", address)
        known = self._known()
        known["associations"] = {**known.get("associations", {}), allocation: instance}
        partial = self._state / "addresses.json.moved"
        partial.write_text(json.dumps(known))
        partial.rename(self._state / "addresses.json")
        return document("AssociateAddress", "<return>true</return><associationId>eipassoc-local</associationId>")

    def _addresses(self, allocation: str) -> str | None:
        known, address = self._known(), self._address(allocation)
        if address is None:
            return None
        instance = known.get("associations", {}).get(allocation)
        holder = f"<instanceId>{instance}</instanceId><associationId>eipassoc-local</associationId>" if instance else ""
        item = f"<item><publicIp>{address}</publicIp><allocationId>{allocation}</allocationId>{holder}</item>"
        return document("DescribeAddresses", f"<addressesSet>{item}</addressesSet>")

    def _describe(self, instance: str, record: dict) -> str:
        item = f"<instanceId>{instance}</instanceId><imageId>{record['imageId']}</imageId>"
        item += f"<privateIpAddress>{record['privateIp']}</privateIpAddress>{self._instance_state(instance)}"
        item += f"<launchTime>{self._launched(instance)}</launchTime>"
        instances = f"<instancesSet><item>{item}</item></instancesSet>"
        return document("DescribeInstances", f"<reservationSet><item>{instances}</item></reservationSet>")

    def _terminate(self, instance: str) -> str:
        leader = self._leader(instance)
        if leader is not None:
            # What it leaves is removed when the resource is deleted.
            command = ["nsenter", "--target", str(leader), "--all", "systemctl", "--no-block", "poweroff"]
            subprocess.run(command, check=False, capture_output=True, timeout=30, env={"PATH": os.defpath})
        states = "<currentState><code>32</code><name>shutting-down</name></currentState>"
        item = f"<item><instanceId>{instance}</instanceId>{states}</item>"
        return document("TerminateInstances", f"<instancesSet>{item}</instancesSet>")

    def _instance_state(self, instance: str) -> str:
        running = self._leader(instance) is not None
        code, name = (16, "running") if running else (48, "terminated")
        return f"<instanceState><code>{code}</code><name>{name}</name></instanceState>"

    def _path(self, instance: str) -> Path:
        return self._state / "instances" / f"{Path(instance).name}.json"

    def _launched(self, instance: str) -> str:
        """The record is written once."""
        written = self._path(instance).stat().st_mtime
        return datetime.datetime.fromtimestamp(written, datetime.timezone.utc).isoformat(timespec="milliseconds")

    def _record(self, instance: str) -> dict | None:
        path = self._path(instance)
        return json.loads(path.read_text()) if instance and path.exists() else None


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=False, capture_output=True, timeout=30)


def document(action: str, content: str) -> str:
    return f'<{action}Response xmlns="{NAMESPACE}"><requestId>local</requestId>{content}</{action}Response>'
