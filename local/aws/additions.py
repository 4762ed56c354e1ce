"""Additions to moto 5.2.1 for actions that the AWS provider uses for this stack: one function per addition."""

from __future__ import annotations

import json
import time
from typing import Any

import moto.ssm.models as ssm
from moto.autoscaling.models import AutoScalingBackend, FakeScalingPolicy, LifecycleHook
from moto.autoscaling.responses import AutoScalingResponse
from moto.budgets.responses import BudgetsResponse
from moto.core.responses import ActionResult
from moto.core.utils import camelcase_to_underscores
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.instances import InstanceBackend
from moto.ec2.models.launch_templates import LaunchTemplateBackend
from moto.ec2.models.vpcs import VPCBackend
from moto.ec2.responses.instances import InstanceResponse
from moto.scheduler.models import scheduler_backends

ACCOUNT = "123456789012"
REGION = "us-east-1"
AMI_PARAMETER = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"
# One of moto's own images.
AMI = "ami-12c6146b"


def apply() -> None:
    """Patches moto in place, once."""
    publish_the_gpu_image()
    give_instances_the_groups_of_their_interface()
    give_root_volumes_their_iops_and_throughput()
    start_with_one_root_volume()
    end_interfaces_with_their_instance()
    delete_what_a_network_came_with()
    delete_vpc_endpoints()
    delete_hooks_with_their_group()
    keep_all_of_an_auto_scaling_group()
    refresh_instances()
    describe_scaling_policies_as_aws_does()
    send_hooks_to_nobody()
    keep_a_template_apart_from_its_tags()
    tell_who_a_budget_writes_to()
    send_budgets_as_json()
    have_what_accounts_have()


def publish_the_gpu_image() -> None:
    """moto's public parameters do not include the images for deep learning."""
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
    """moto stores security groups that come with a network interface, as for an instance with a public address, only
    with the interface. EC2 also returns them with the instance."""
    original = InstanceBackend.run_instances

    def run_instances(self: EC2Backend, *arguments: Any, **named: Any) -> Any:
        reservation = original(self, *arguments, **named)
        for instance in reservation.instances:
            if not instance.security_groups and 0 in instance.nics:
                instance.security_groups = list(instance.nics[0]._group_set)
        return reservation

    InstanceBackend.run_instances = run_instances


def give_root_volumes_their_iops_and_throughput() -> None:
    """moto reads size, type and encryption from block device mappings and ignores the rest."""
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


def start_with_one_root_volume() -> None:
    """moto attaches its own default volume first, in addition to that of a launch template."""
    original = InstanceBackend.run_instances

    def run_instances(self: EC2Backend, *arguments: Any, **named: Any) -> Any:
        reservation = original(self, *arguments, **named)
        for instance in reservation.instances:
            mapped = {device.volume_id for device in instance.block_device_mapping.values()}
            for volume in list(self.volumes.values()):
                if volume.attachment and volume.attachment.instance is instance and volume.id not in mapped:
                    del self.volumes[volume.id]
        return reservation

    InstanceBackend.run_instances = run_instances


def end_interfaces_with_their_instance() -> None:
    """moto keeps the network interface of a terminated instance; EC2 deletes it with the instance."""
    original = InstanceBackend.terminate_instances

    def terminate_instances(self: EC2Backend, instance_ids: list[str]) -> Any:
        answer = original(self, instance_ids)
        for instance, _ in answer:
            for interface in instance.nics.values():
                self.enis.pop(interface.id, None)
        return answer

    InstanceBackend.terminate_instances = terminate_instances


def delete_what_a_network_came_with() -> None:
    """moto keeps the default ACL of a deleted VPC."""
    original = VPCBackend.delete_vpc

    def delete_vpc(self: EC2Backend, vpc_id: str) -> Any:
        answer = original(self, vpc_id)
        for acl in [each for each in self.network_acls.values() if each.vpc_id == vpc_id]:
            del self.network_acls[acl.id]
        return answer

    VPCBackend.delete_vpc = delete_vpc


def delete_vpc_endpoints() -> None:
    """moto keeps deleted VPC endpoints permanently; EC2 soon removes them."""
    original = VPCBackend.delete_vpc_endpoints

    def delete_vpc_endpoints(self: EC2Backend, vpce_ids: list[str] | None = None) -> None:
        original(self, vpce_ids)
        for vpce_id in vpce_ids or []:
            self.vpc_end_points.pop(vpce_id, None)

    VPCBackend.delete_vpc_endpoints = delete_vpc_endpoints


def delete_hooks_with_their_group() -> None:
    """moto keeps the lifecycle hooks of a deleted Auto Scaling group."""
    original = AutoScalingBackend.delete_auto_scaling_group

    def delete_auto_scaling_group(self: AutoScalingBackend, group_name: str) -> None:
        original(self, group_name)
        for key in [key for key, hook in self.lifecycle_hooks.items() if hook.auto_scaling_group_name == group_name]:
            del self.lifecycle_hooks[key]

    AutoScalingBackend.delete_auto_scaling_group = delete_auto_scaling_group


def keep_all_of_an_auto_scaling_group() -> None:
    """moto does not store warmup and maintenance policy."""

    def keep(method: str) -> None:
        original = getattr(AutoScalingResponse, method)

        def kept(self: AutoScalingResponse) -> Any:
            answer = original(self)
            group = self.autoscaling_backend.autoscaling_groups[self._get_param("AutoScalingGroupName")]
            for name in ("DefaultInstanceWarmup", "InstanceMaintenancePolicy"):
                value = self._get_param(name)
                if value is not None:
                    setattr(group, camelcase_to_underscores(name), value)
            return answer

        setattr(AutoScalingResponse, method, kept)

    keep("create_auto_scaling_group")
    keep("update_auto_scaling_group")


# By group: its last instance refresh.
REFRESHES: dict[str, dict[str, Any]] = {}
NEXT_STATUS = {"Pending": "InProgress", "InProgress": "Baking", "Baking": "Successful"}


def refresh_instances() -> None:
    """moto has no instance refresh. As AWS does, this one saves the desired configuration in the group at its end. The
    reason of its status says which version of the template the group had at its begin, to which AWS would roll back."""

    def start_instance_refresh(self: AutoScalingResponse) -> ActionResult:
        name = self._get_param("AutoScalingGroupName")
        group = self.autoscaling_backend.autoscaling_groups[name]
        REFRESHES[name] = {
            "InstanceRefreshId": "08b91cf7-8fa6-48af-b6a6-d227f40f1b9b",
            "AutoScalingGroupName": name,
            "Status": "Pending",
            "StatusReason": f"begun with version {group.launch_template_version}",
            "PercentageComplete": 0,
            "DesiredConfiguration": self._get_param("DesiredConfiguration"),
            "Preferences": self._get_param("Preferences"),
        }
        return ActionResult({"InstanceRefreshId": REFRESHES[name]["InstanceRefreshId"]})

    def describe_instance_refreshes(self: AutoScalingResponse) -> ActionResult:
        name = self._get_param("AutoScalingGroupName")
        refresh = REFRESHES.get(name)
        if refresh and refresh["Status"] in NEXT_STATUS:
            refresh["Status"] = NEXT_STATUS[refresh["Status"]]
            if refresh["Status"] == "Successful":
                refresh["PercentageComplete"] = 100
                group = self.autoscaling_backend.autoscaling_groups[name]
                version = refresh["DesiredConfiguration"]["LaunchTemplate"]["Version"]
                group.launch_template_version = group.provided_launch_template_version = version
        return ActionResult({"InstanceRefreshes": [refresh] if refresh else []})

    AutoScalingResponse.start_instance_refresh = start_instance_refresh
    AutoScalingResponse.describe_instance_refreshes = describe_instance_refreshes


def describe_scaling_policies_as_aws_does() -> None:
    """moto does not return `Enabled`, and returns predictive scaling for every policy."""
    original = FakeScalingPolicy.__init__

    def init(self: FakeScalingPolicy, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        self.enabled = True
        self.predictive_scaling_configuration = self.predictive_scaling_configuration or None

    FakeScalingPolicy.__init__ = init


def send_hooks_to_nobody() -> None:
    """moto returns a notification queue and a role, which nobody requested, for every lifecycle hook."""
    original = LifecycleHook.__init__

    def init(self: LifecycleHook, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        self.role_arn = None
        self.notification_target_arn = None

    LifecycleHook.__init__ = init


def keep_a_template_apart_from_its_tags() -> None:
    """moto adds a launch template's own tags to those of the resources that are launched from it."""
    original = LaunchTemplateBackend.create_launch_template

    def create_launch_template(
        self: EC2Backend, name: str, description: str, template_data: dict[str, Any], tag_spec: dict[str, Any]
    ) -> Any:
        specifications = template_data.get("TagSpecifications", [])
        template_data["TagSpecifications"] = [
            each for each in specifications if each["ResourceType"] != "launch-template"
        ]
        return original(self, name, description, template_data, tag_spec)

    LaunchTemplateBackend.create_launch_template = create_launch_template


def tell_who_a_budget_writes_to() -> None:
    """moto stores the subscribers of a budget's notifications, but has no actions that return them, or tags."""

    def describe_subscribers_for_notification(self: BudgetsResponse) -> str:
        budget = self.backend.budgets[self._get_param("AccountId")][self._get_param("BudgetName")]
        wanted = self._get_param("Notification")
        found = [
            notification.subscribers
            for notification in budget.notifications
            if all(notification.details.get(key) == value for key, value in wanted.items() if key != "NotificationState")
        ]
        return json.dumps({"Subscribers": found[0] if found else []})

    BudgetsResponse.describe_subscribers_for_notification = describe_subscribers_for_notification
    BudgetsResponse.list_tags_for_resource = lambda self: json.dumps({"ResourceTags": []})


def send_budgets_as_json() -> None:
    """moto declares the JSON of Budgets as text/html."""
    original = BudgetsResponse.setup_class

    def setup_class(self: BudgetsResponse, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        self.response_headers["Content-Type"] = "application/x-amz-json-1.1"

    BudgetsResponse.setup_class = setup_class


def have_what_accounts_have() -> None:
    """moto creates the resources that every account has (images, a key for volumes, a schedule group) when first used."""
    scheduler_backends[ACCOUNT][REGION]  # noqa: B018 - the access creates it
    ssm.ssm_backends[ACCOUNT][REGION].get_parameter(AMI_PARAMETER)
    ec2_backends[ACCOUNT][REGION]._create_default_encryption_key()
