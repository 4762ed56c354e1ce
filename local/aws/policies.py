"""Evaluation of IAM policies: whether an action on a resource is allowed.

A policy element that is not supported is rejected with its name, never ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

ELEMENTS = {"Sid", "Effect", "Action", "Resource", "Principal", "Condition"}
CONTEXT_KEYS = {"aws:securetransport", "aws:requestedregion", "s3:prefix", "secretsmanager:versionstage", "cloudwatch:namespace"}
# Keys that end in the name of a tag.
TAG_KEYS = ("aws:resourcetag/", "aws:requesttag/", "ssm:resourcetag/")

# Condition keys in lower case. A key with several values, such as the types of several records, has a tuple.
Context = Mapping[str, str | tuple[str, ...]]


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
            if _operator(operator).name not in OPERATORS:
                raise UnknownPolicyElement(f"condition operator {operator}")
            for key in keys:
                if key.lower() not in CONTEXT_KEYS and not key.lower().startswith(TAG_KEYS):
                    raise UnknownPolicyElement(f"condition key {key}")


def is_allowed(documents: Iterable[str], action: str, resource: str, context: Context) -> bool:
    """Whether the policies allow the action: at least one statement allows it, and none denies it.

    `action` is SERVICE:Name, `resource` an ARN or "*" for actions without one.
    """
    allowed = False
    for document in documents:
        check(document)
        for statement in _statements(document):
            if applies(statement, action, resource, context):
                if statement["Effect"] == "Deny":
                    return False
                allowed = True
    return allowed


def applies(statement: Mapping[str, Any], action: str, resource: str, context: Context) -> bool:
    """Whether the statement, which allows or denies, is about this action."""
    return (
        any(_like(action.lower(), pattern.lower()) for pattern in _as_list(statement["Action"]))
        and any(_like(resource, pattern) for pattern in _as_list(statement["Resource"]))
        and all(
            _holds(operator, context.get(key.lower()), _as_list(wanted))
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _statements(document: str) -> list[dict[str, Any]]:
    return _as_list(json.loads(document)["Statement"])


@dataclass(frozen=True)
class _Operator:
    name: str
    # Holds if the key is missing.
    if_exists: bool
    # Holds if each of the key's values matches, and if there is none.
    all_values: bool


def _operator(text: str) -> _Operator:
    name = text.removeprefix("ForAllValues:").removesuffix("IfExists")
    return _Operator(name, text.endswith("IfExists"), text.startswith("ForAllValues:"))


def _holds(text: str, value: str | tuple[str, ...] | None, wanted: list[Any]) -> bool:
    operator = _operator(text)
    if operator.name == "Null":
        return _text(value is None) in [_text(each) for each in wanted]
    if value is None and (operator.if_exists or operator.all_values):
        return True
    matches, negated = OPERATORS[operator.name]
    values = value if isinstance(value, tuple) else () if value is None else (value,)
    found = [any(matches(each, _text(pattern)) for pattern in wanted) for each in values]
    holds = all(found) if operator.all_values else any(found)
    return not holds if negated else holds


def _like(value: str, pattern: str) -> bool:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, value, re.DOTALL) is not None


def _arn_like(value: str, pattern: str) -> bool:
    """Each of an ARN's six parts matches by itself: a wildcard does not extend over a colon, except in the last part."""
    parts, patterns = value.split(":", 5), pattern.split(":", 5)
    return len(parts) == len(patterns) and all(map(_like, parts, patterns))


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
    "ArnLike": (_arn_like, False),
    "Bool": (_equal, False),
    # Compares no values.
    "Null": (_equal, False),
}
