"""Everything that exists in the emulator."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from moto.core.base_backend import BackendDict, BaseBackend

# moto's records of deleted resources; EC2 too keeps instances for an hour.
RECORDS = {"acm._idempotency_tokens", "ec2.launch_template_insert_order", "ec2.reservations", "ec2.tags"}
# AWS's own policies, which every account has and which moto loads when first used. This stack has no managed policy.
AWS_OWN = {"iam.aws_managed_policies", "iam.managed_policies"}


def census() -> dict[str, list[str]]:
    """The contents of each collection of each backend, by SERVICE.COLLECTION: keys of dictionaries, entries of lists.

    A secret that can still be restored is in `secretsmanager.restorable`.
    """
    found: dict[str, list[str]] = {}
    for service, backend in _backends():
        for name, value in vars(backend).items():
            if isinstance(value, (dict, list, set)) and f"{service}.{name}" not in RECORDS | AWS_OWN:
                found.setdefault(f"{service}.{name}", []).extend(_entries(value))
    restorable = set(_restorable())
    found["secretsmanager.secrets"] = [name for name in found.get("secretsmanager.secrets", []) if name not in restorable]
    found["secretsmanager.restorable"] = sorted(restorable)
    return {name: sorted(entries) for name, entries in found.items() if entries}


def _entries(value: dict | list | set) -> Iterator[str]:
    """A dictionary of collections, such as subnets by zone, is counted by the contents of these."""
    if isinstance(value, dict) and value and all(isinstance(each, (dict, list, set)) for each in value.values()):
        for key, inner in value.items():
            yield from (f"{key}/{each}" for each in _entries(inner))
    else:
        yield from (str(each) for each in value)


def _restorable() -> Iterator[str]:
    for service, backend in _backends():
        if service == "secretsmanager":
            yield from (name for name, secret in backend.secrets.items() if secret.is_deleted())


def _backends() -> Iterator[tuple[str, BaseBackend]]:
    for module_name in [name for name in sys.modules if name.startswith("moto.") and name.endswith(".models")]:
        for value in list(vars(sys.modules[module_name]).values()):
            if isinstance(value, BackendDict) and value.backend.__module__.startswith(module_name):
                for regions in list(value.values()):
                    for backend in list(regions.values()):
                        yield module_name.split(".")[1], backend
