"""The index, credentials, and the meaning of AWS's errors."""

import json
from unittest import mock

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from fakes import client_error

from qwen3.aws import Aws, Index, parse_index
from qwen3.clients import describe, is_outage
from qwen3.contract import LONGEST_GRACE_SECONDS

GOOD = {"version": 1, "keyGraceSeconds": 5, "clients": {"a": "arn"}, "tls": "arn"}


def test_a_start_without_the_metadata_service_looks_for_credentials_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore's session remembers that it found none."""
    sessions: list[mock.Mock] = []

    def session() -> mock.Mock:
        sessions.append(mock.Mock())
        if len(sessions) == 1:
            sessions[0].client().list_secret_version_ids.side_effect = NoCredentialsError()
        else:
            sessions[-1].client().list_secret_version_ids.return_value = {"Versions": []}
        return sessions[-1]

    for name, value in {"AWS_REGION": "us-east-1", "QWEN3_BUCKET": "bucket", "QWEN3_INDEX_KEY": "index"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("boto3.session.Session", session)
    aws = Aws()
    with pytest.raises(NoCredentialsError):
        aws.versions("arn")
    assert aws.versions("arn") == []
    assert len(sessions) == 2


def test_the_index() -> None:
    assert parse_index(json.dumps(GOOD).encode()) == Index(5.0, {"a": "arn"}, "arn")
    assert parse_index(json.dumps(GOOD | {"keyGraceSeconds": LONGEST_GRACE_SECONDS}).encode()).grace_seconds == 604_800


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"keyGraceSeconds": -1},
        {"keyGraceSeconds": "5"},
        {"keyGraceSeconds": True},
        {"keyGraceSeconds": float("nan")},
        {"keyGraceSeconds": LONGEST_GRACE_SECONDS + 1},
        {"clients": []},
        {"clients": {"../a": "arn"}},
        {"clients": {"a\n": "arn"}},
        {"clients": {"a": None}},
        {"tls": None},
    ],
)
def test_an_index_in_another_format_is_rejected(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="index"):
        parse_index(json.dumps(GOOD | change).encode())


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff"])
def test_an_invalid_index_is_rejected(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 # json's own messages
        parse_index(body)


def test_which_errors_are_an_outage() -> None:
    assert is_outage(EndpointConnectionError(endpoint_url="https://secretsmanager"))
    assert is_outage(client_error("InternalServiceError", 500))
    assert is_outage(client_error("ThrottlingException"))
    assert not is_outage(client_error("AccessDeniedException"))
    assert describe(client_error("X")) == "ListSecretVersionIds: X: no"
