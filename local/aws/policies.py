"""Evaluation of IAM policies: whether an action on a resource is allowed.

A policy element that is not supported is rejected with its name, never ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

ELEMENTS = {"Sid", "Effect", "Action", "Resource", "Principal", "Condition"}
CONTEXT_KEYS = {"aws:securetransport", "aws:requestedregion", "s3:prefix", "secretsmanager:versionstage", "cloudwatch:namespace"}


class UnknownPolicyElement(Exception):
    """A policy uses an element that is not emulated; the message names it."""


def check(document: str) -> None:
    """Raises UnknownPolicyElement if the policy uses anything that `is_allowed` does not support."""
    for statement in _statements(document):
        for name in statement:
            if name not in ELEMENTS:
                raise UnknownPolicyElement(f"policy element {name}")
        if statement.get("Principal", "*") not in ("*", {"AWS": "*"}):
            raise UnknownPolicyElement(f"Principal {json.dumps(statement['Principal'])}")
        for operator, keys in statement.get("Condition", {}).items():
            if operator not in OPERATORS:
                raise UnknownPolicyElement(f"condition operator {operator}")
            for key in keys:
                if key.lower() not in CONTEXT_KEYS:
                    raise UnknownPolicyElement(f"condition key {key}")


def is_allowed(documents: Iterable[str], action: str, resource: str, context: Mapping[str, str]) -> bool:
    """Whether the policies allow the action: at least one statement allows it, and none denies it.

    `action` is SERVICE:Name, `resource` an ARN or "*" for actions without one, `context` lower-case condition keys.
    """
    allowed = False
    for document in documents:
        check(document)
        for statement in _statements(document):
            if _applies(statement, action, resource, context):
                if statement["Effect"] == "Deny":
                    return False
                allowed = True
    return allowed


def _statements(document: str) -> list[dict[str, Any]]:
    return _as_list(json.loads(document)["Statement"])


def _applies(statement: Mapping[str, Any], action: str, resource: str, context: Mapping[str, str]) -> bool:
    return (
        any(_like(action.lower(), pattern.lower()) for pattern in _as_list(statement["Action"]))
        and any(_like(resource, pattern) for pattern in _as_list(statement["Resource"]))
        and all(
            _holds(operator, context.get(key.lower()), _as_list(wanted))
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _holds(operator: str, value: str | None, wanted: list[Any]) -> bool:
    matches, negated = OPERATORS[operator]
    found = value is not None and any(matches(value, _text(each)) for each in wanted)
    return not found if negated else found


def _like(value: str, pattern: str) -> bool:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, value, re.DOTALL) is not None


def _equal(value: str, wanted: str) -> bool:
    return value == wanted


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# Each operator's comparison, and whether it is negated. As in AWS, a negated operator matches when the key is missing.
OPERATORS: dict[str, tuple[Callable[[str, str], bool], bool]] = {
    "StringEquals": (_equal, False),
    "StringNotEquals": (_equal, True),
    "StringLike": (_like, False),
    "StringNotLike": (_like, True),
    "Bool": (_equal, False),
}
