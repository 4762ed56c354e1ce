"""What this instance reads from AWS with its role: the stack's index and its secrets."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import boto3
from botocore.exceptions import ClientError, NoCredentialsError

from .clients import options
from .contract import CLIENT_NAME, LONGEST_GRACE_SECONDS
from .environment import required


@dataclass(frozen=True)
class Index:
    """The object that the stack writes and instances poll."""

    grace_seconds: float
    clients: dict[str, str]
    """Secret ARNs by client name."""
    tls: str
    """ARN of the secret with certificate and private key."""


@dataclass(frozen=True)
class Version:
    """One version of a secret that has a label."""

    id: str
    stages: frozenset[str]
    created: datetime


class Aws:
    """S3 and Secrets Manager with short timeouts: an agent that hangs is worse than one that fails and retries."""

    def __init__(self) -> None:
        self._bucket = required("QWEN3_BUCKET")
        self._key = required("QWEN3_INDEX_KEY")
        self._index: tuple[str, Index] | None = None
        self._connect()

    def _connect(self) -> None:
        session = boto3.session.Session()
        common = options(connect_timeout=3, read_timeout=5, max_attempts=2)
        self._s3 = session.client("s3", **common)
        self._secrets = session.client("secretsmanager", **common)

    @contextmanager
    def _with_credentials(self) -> Iterator[None]:
        try:
            yield
        except NoCredentialsError:
            # A session that found no credentials, because the metadata service was down, never tries again.
            self._connect()
            raise

    def index(self) -> Index:
        """The index; downloaded only when its ETag has changed.

        Raises ValueError if it is not in the stack's format, and botocore's errors.
        """
        try:
            with self._with_credentials():
                if self._index is None:
                    response = self._s3.get_object(Bucket=self._bucket, Key=self._key)
                else:
                    response = self._s3.get_object(Bucket=self._bucket, Key=self._key, IfNoneMatch=self._index[0])
        except ClientError as error:
            if self._index and error.response["ResponseMetadata"]["HTTPStatusCode"] == 304:
                return self._index[1]
            raise
        index = parse_index(response["Body"].read())
        self._index = (response["ETag"], index)
        return index

    def versions(self, arn: str) -> list[Version]:
        """A secret's versions with a label, AWSCURRENT and AWSPREVIOUS among them. Raises botocore's errors."""
        # By default without deprecated versions, which have no label. Debian 12's boto3 has no paginator for this.
        found: list[Version] = []
        token: str | None = None
        while True:
            with self._with_credentials():
                if token is None:
                    response = self._secrets.list_secret_version_ids(SecretId=arn, MaxResults=100)
                else:
                    response = self._secrets.list_secret_version_ids(SecretId=arn, MaxResults=100, NextToken=token)
            found += [
                Version(each["VersionId"], frozenset(each["VersionStages"]), each["CreatedDate"])
                for each in response.get("Versions", [])
                if each.get("VersionStages")
            ]
            token = response.get("NextToken")
            if not token:
                return found

    def value(self, arn: str, version_id: str) -> str:
        """The text of one version of a secret.

        Raises ValueError, without the value, if the version contains bytes or nothing, and botocore's errors.
        """
        with self._with_credentials():
            value = self._secrets.get_secret_value(SecretId=arn, VersionId=version_id).get("SecretString")
        if not value:
            raise ValueError(f"version {version_id} of {arn} has no text")
        return value


def parse_index(body: bytes) -> Index:
    """Reads the index. Raises ValueError that names the problem."""
    document = json.loads(body)
    if not isinstance(document, dict) or document.get("version") != 1:
        raise ValueError("the index is not of version 1, the one that this instance reads")
    grace, clients, tls = (document.get(name) for name in ("keyGraceSeconds", "clients", "tls"))
    if isinstance(grace, bool) or not isinstance(grace, int | float) or not 0 <= grace <= LONGEST_GRACE_SECONDS:
        raise ValueError(
            f"keyGraceSeconds in the index is {grace!r}; allowed: seconds, from 0 to {LONGEST_GRACE_SECONDS}"
        )
    if not isinstance(clients, dict):
        raise ValueError("clients in the index is not an object of secret ARNs by client name")
    for name, arn in clients.items():
        if not re.fullmatch(CLIENT_NAME, name):
            raise ValueError(f"the index names a client {name!r}; allowed: lower-case letters, digits and hyphens")
        if not isinstance(arn, str) or not arn:
            raise ValueError(f"the index has no secret ARN for client {name}")
    if not isinstance(tls, str) or not tls:
        raise ValueError("the index has no secret ARN for tls")
    return Index(float(grace), clients, tls)
