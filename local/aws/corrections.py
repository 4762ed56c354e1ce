"""Corrections of moto 5.2.1 where it differs from AWS in a way that affects this stack: one function per difference."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket
from moto.secretsmanager.exceptions import InvalidRequestException, SecretNotFoundException
from moto.secretsmanager.models import SecretsManagerBackend

DELETED = "You can't perform this operation on the secret because it was marked for deletion."


def apply() -> None:
    """Patches moto in place, once."""
    list_versions_with_their_dates()
    refuse_the_name_of_a_deleted_secret()
    refuse_to_change_a_deleted_secret()
    follow_a_moved_label()
    keep_milliseconds()
    leave_bucket_policies_to_authorisation()


def list_versions_with_their_dates() -> None:
    """moto reports the current time as every version's CreatedDate, and always lists versions without a label."""

    def list_secret_version_ids(self: SecretsManagerBackend, secret_id: str) -> str:
        if secret_id not in self.secrets:
            raise SecretNotFoundException()
        secret = self.secrets[secret_id]
        if secret.is_deleted():
            raise InvalidRequestException(DELETED)
        versions = [
            {"VersionId": name, "VersionStages": version["version_stages"], "CreatedDate": version["createdate"]}
            for name, version in secret.versions.items()
            if version["version_stages"]
        ]
        return json.dumps({"ARN": secret.arn, "Name": secret.name, "Versions": versions})

    SecretsManagerBackend.list_secret_version_ids = list_secret_version_ids


def refuse_the_name_of_a_deleted_secret() -> None:
    """moto returns a different error than AWS here, and the AWS provider retries only on AWS's error."""

    def before(self: SecretsManagerBackend, name: str, **_: Any) -> None:
        if name in self.secrets and self.secrets[name].is_deleted():
            raise InvalidRequestException(
                "You can't create this secret because a secret with this name is already scheduled for deletion."
            )

    _first("create_secret", before)


def refuse_to_change_a_deleted_secret() -> None:
    """moto lets callers put values and move labels in a secret that is marked as deleted."""

    def before(self: SecretsManagerBackend, secret_id: str, **_: Any) -> None:
        if secret_id in self.secrets and self.secrets[secret_id].is_deleted():
            raise InvalidRequestException(DELETED)

    for method in ("put_secret_value", "update_secret_version_stage", "get_secret_value"):
        _first(method, before)


def follow_a_moved_label() -> None:
    """moto keeps treating the old version as the current one after AWSCURRENT was moved explicitly."""
    original = SecretsManagerBackend.update_secret_version_stage

    def update_secret_version_stage(self: SecretsManagerBackend, secret_id: str, **named: Any) -> tuple[str, str]:
        answer = original(self, secret_id=secret_id, **named)
        secret = self.secrets[secret_id]
        for name, version in secret.versions.items():
            if "AWSCURRENT" in version["version_stages"]:
                secret.set_default_version_id(name)
        return answer

    SecretsManagerBackend.update_secret_version_stage = update_secret_version_stage


def keep_milliseconds() -> None:
    """moto truncates the dates of versions to whole seconds; AWS keeps milliseconds."""
    original = SecretsManagerBackend._add_secret

    def add_secret(self: SecretsManagerBackend, *arguments: Any, **named: Any) -> Any:
        secret, new_version = original(self, *arguments, **named)
        if new_version:
            newest = next(reversed(secret.versions.values()))
            newest["createdate"] = round(time.time(), 3)
        return secret, new_version

    SecretsManagerBackend._add_secret = add_secret


def leave_bucket_policies_to_authorisation() -> None:
    """moto ignores conditions in bucket policies, so "deny plain HTTP" would deny everything. The emulator's
    authorisation evaluates these policies itself."""
    FakeBucket.get_permission = lambda self, action, resource: PermissionResult.NEUTRAL


def _first(method: str, check: Callable[..., None]) -> None:
    original = getattr(SecretsManagerBackend, method)

    def checked(self: SecretsManagerBackend, *arguments: Any, **named: Any) -> Any:
        check(self, *arguments, **named)
        return original(self, *arguments, **named)

    setattr(SecretsManagerBackend, method, checked)
