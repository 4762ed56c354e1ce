"""What moto 5.2.1 lacks of the actions that AWS's provider uses for this stack: one function for each."""

from __future__ import annotations

import time
from typing import Any

import moto.ssm.models as ssm
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.instances import InstanceBackend
from moto.ec2.models.vpcs import VPCBackend
from moto.ec2.responses.instances import InstanceResponse

ACCOUNT = "123456789012"
REGION = "us-east-1"
AMI_PARAMETER = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"
# One of the images that moto knows.
AMI = "ami-12c6146b"


def apply() -> None:
    """Adds to moto in place, once."""
    publish_the_gpu_image()
    give_instances_the_groups_of_their_interface()
    give_root_volumes_their_iops_and_throughput()
    end_interfaces_with_their_instance()
    delete_what_a_network_came_with()
    have_what_accounts_have()


def publish_the_gpu_image() -> None:
    """moto's public parameters end before the images for deep learning."""
    original = ssm.ParameterDict._check_loading_status

    def check_loading_status(self: ssm.ParameterDict, key: str) -> None:
        original(self, key)
        if key == AMI_PARAMETER and not dict.__contains__(self, key):
            dict.__setitem__(
                self,
                key,
                [
                    ssm.Parameter(
                        account_id=self.account_id,
                        name=key,
                        value=AMI,
                        parameter_type="String",
                        description=None,
                        allowed_pattern=None,
                        keyid=None,
                        last_modified_date=time.time(),
                        version=1,
                        data_type="aws:ec2:image",
                    )
                ],
            )

    ssm.ParameterDict._check_loading_status = check_loading_status


def give_instances_the_groups_of_their_interface() -> None:
    """moto keeps security groups that come with a network interface, which is how an instance with a public address is
    asked for, with the interface alone; EC2 describes the instance with them too."""
    original = InstanceBackend.run_instances

    def run_instances(self: EC2Backend, *arguments: Any, **named: Any) -> Any:
        reservation = original(self, *arguments, **named)
        for instance in reservation.instances:
            if not instance.security_groups and 0 in instance.nics:
                instance.security_groups = list(instance.nics[0]._group_set)
        return reservation

    InstanceBackend.run_instances = run_instances


def give_root_volumes_their_iops_and_throughput() -> None:
    """moto reads size, type and encryption from block device mappings and leaves out the rest."""
    original = InstanceBackend.run_instances
    original_parse = InstanceResponse._parse_block_device_mapping

    def parse(self: InstanceResponse) -> list[dict[str, Any]]:
        mappings = original_parse(self)
        for mapping, asked in zip(mappings, self._get_param("BlockDeviceMappings", [])):
            mapping["Ebs"]["Throughput"] = asked.get("Ebs", {}).get("Throughput")
        return mappings

    def run_instances(self: EC2Backend, *arguments: Any, **named: Any) -> Any:
        mappings = {mapping["DeviceName"]: mapping["Ebs"] for mapping in named.get("block_device_mappings", [])}
        reservation = original(self, *arguments, **named)
        for instance in reservation.instances:
            for device, mapping in mappings.items():
                volume = self.volumes[instance.block_device_mapping[device].volume_id]
                volume.iops = mapping.get("Iops") or volume.iops
                volume.throughput = mapping.get("Throughput") or volume.throughput
        return reservation

    InstanceResponse._parse_block_device_mapping = parse
    InstanceBackend.run_instances = run_instances


def end_interfaces_with_their_instance() -> None:
    """moto keeps the network interface that an instance was started with; EC2 deletes it with the instance."""
    original = InstanceBackend.terminate_instances

    def terminate_instances(self: EC2Backend, instance_ids: list[str]) -> Any:
        answer = original(self, instance_ids)
        for instance, _ in answer:
            for interface in instance.nics.values():
                self.enis.pop(interface.id, None)
        return answer

    InstanceBackend.terminate_instances = terminate_instances


def delete_what_a_network_came_with() -> None:
    """moto keeps the default ACL of a VPC that is deleted."""
    original = VPCBackend.delete_vpc

    def delete_vpc(self: EC2Backend, vpc_id: str) -> Any:
        answer = original(self, vpc_id)
        for acl in [each for each in self.network_acls.values() if each.vpc_id == vpc_id]:
            del self.network_acls[acl.id]
        return answer

    VPCBackend.delete_vpc = delete_vpc


def have_what_accounts_have() -> None:
    """moto makes what every account has (images, the key for volumes) when it is first asked."""
    ssm.ssm_backends[ACCOUNT][REGION].get_parameter(AMI_PARAMETER)
    ec2_backends[ACCOUNT][REGION]._create_default_encryption_key()
