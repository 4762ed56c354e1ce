"""Weights and packages from a prefix in S3."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qwen3 import model, wheels
from qwen3.s3 import Prefix, parse_prefix

CONFIG, WEIGHTS = b"{}", b"weights"


class FakeClient:
    """boto3's client of a bucket with these objects."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects
        self.downloaded: list[str] = []

    def get_paginator(self, _operation: str) -> "FakeClient":
        return self

    def paginate(self, Bucket: str, Prefix: str) -> list[dict[str, Any]]:  # noqa: N803
        assert Bucket == "bucket"
        found = [{"Key": key, "Size": len(body)} for key, body in self.objects.items() if key.startswith(Prefix)]
        return [{"Contents": found[:1]}, {"Contents": found[1:]}, {}]

    def download_file(self, _bucket: str, key: str, path: str, Callback: Callable[[int], None]) -> None:  # noqa: N803
        self.downloaded.append(key)
        Path(path).write_bytes(self.objects[key])
        Callback(len(self.objects[key]))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    client = FakeClient({})
    monkeypatch.setattr("boto3.client", lambda *_args, **_options: client)
    return client


def sums(files: dict[str, bytes]) -> bytes:
    return "".join(f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in files.items()).encode()


def put_weights(bucket: FakeClient, files: dict[str, bytes]) -> None:
    bucket.objects |= {f"w/{name}": body for name, body in files.items()}
    bucket.objects["w/SHA256SUMS"] = sums(files)


def test_prefixes() -> None:
    assert parse_prefix("s3://bucket/a/b") == parse_prefix("s3://bucket/a/b/") == Prefix("bucket", "a/b/")
    for url in ("s3://bucket", "s3://bucket/", "hf://a/b@c", "https://bucket/a"):
        assert parse_prefix(url) is None


def test_weights_are_verified_and_a_second_run_downloads_nothing(bucket: FakeClient, tmp_path: Path) -> None:
    put_weights(bucket, {"config.json": CONFIG, "1_Pooling/config.json": CONFIG, "model.safetensors": WEIGHTS})
    (tmp_path / "old").write_text("from an earlier try")
    model.fetch("s3://bucket/w", tmp_path)
    assert (tmp_path / "1_Pooling/config.json").read_bytes() == CONFIG
    assert not (tmp_path / "old").exists()
    bucket.downloaded.clear()
    model.fetch("s3://bucket/w/", tmp_path)
    assert bucket.downloaded == ["w/SHA256SUMS"]


def test_weights_that_differ_from_their_digest_are_removed(bucket: FakeClient, tmp_path: Path) -> None:
    put_weights(bucket, {"config.json": CONFIG, "model.safetensors": WEIGHTS})
    bucket.objects["w/model.safetensors"] = b"other"
    with pytest.raises(SystemExit, match=r"files that do not match their digests: model\.safetensors"):
        model.fetch("s3://bucket/w", tmp_path)
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "/absolute/path"])
def test_a_key_that_leads_out_of_the_folder_is_rejected(bucket: FakeClient, tmp_path: Path, name: str) -> None:
    # `w//etc/evil` is below the prefix `w/`, with the name `/etc/evil`.
    folder = tmp_path / "model"
    put_weights(bucket, {"config.json": CONFIG, name: WEIGHTS})
    with pytest.raises(SystemExit, match="would be written outside"):
        model.fetch("s3://bucket/w", folder)
    assert not [key for key in bucket.downloaded if key.endswith("evil")]
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["SHA256SUMS"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w/SHA256SUMS": None}, "has no SHA256SUMS"),
        ({"w/SHA256SUMS": b"nonsense"}, "is not what `sha256sum` writes"),
        ({"w/extra.py": b"import os"}, "contains extra.py, which SHA256SUMS does not name"),
        ({"w/config.json": None}, "lacks config.json"),
    ],
)
def test_incomplete_prefixes(bucket: FakeClient, tmp_path: Path, change: dict[str, bytes | None], message: str) -> None:
    put_weights(bucket, {"config.json": CONFIG})
    for key, body in change.items():
        if body is None:
            del bucket.objects[key]
        else:
            bucket.objects[key] = body
    with pytest.raises(SystemExit, match=message):
        model.fetch("s3://bucket/w", tmp_path)


def test_the_sums_have_their_own_digest(bucket: FakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_weights(bucket, {"config.json": CONFIG})
    monkeypatch.setenv("QWEN3_MODEL_SHA256", hashlib.sha256(sums({"config.json": CONFIG})).hexdigest())
    model.fetch("s3://bucket/w", tmp_path)
    monkeypatch.setenv("QWEN3_MODEL_SHA256", "0" * 64)
    with pytest.raises(SystemExit, match="Rejected these weights"):
        model.fetch("s3://bucket/w", tmp_path)


def test_wheels(bucket: FakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.objects |= {"p/a.whl": b"a", "p/b.whl": b"b", "p/b/c.whl": b"c", "p//d.whl": b"d", "p/x.complete": b""}
    (tmp_path / "a.whl").write_bytes(b"a")
    monkeypatch.setenv("QWEN3_PACKAGE_MIRROR", "s3://bucket/p")
    wheels.main(tmp_path)
    assert bucket.downloaded == ["p/b.whl"]
    monkeypatch.setenv("QWEN3_PACKAGE_MIRROR", "s3://bucket/none")
    with pytest.raises(SystemExit, match="contains no wheels"):
        wheels.main(tmp_path)
    monkeypatch.setenv("QWEN3_PACKAGE_MIRROR", "/a/folder")
    with pytest.raises(SystemExit, match="allowed: s3://BUCKET/PREFIX"):
        wheels.main(tmp_path)
