"""Authentication: the header, the digest's file, and the response to the client."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from http_worker import HttpWorker
from worker_client import KEY, KeyFolder, refused

from qwen3.digests import digest
from qwen3.worker.auth import Authenticator
from qwen3.worker.errors import ApiError

DIGEST_FILES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("digest_files.json").read_text())
"""Files and the response of nginx and a worker for each; test/machine/gatewayAuth.test.ts has nginx's part."""


def status(keys: Path, key: str = KEY) -> int:
    try:
        return 200 if Authenticator(keys).client_of([(b"authorization", f"Bearer {key}".encode())]) else 500
    except ApiError as error:
        return error.status


@pytest.mark.parametrize("case", DIGEST_FILES, ids=lambda case: f"{case['text'][:50]} {case.get('ends', '')}")
def test_files(tmp_path: Path, case: dict[str, Any]) -> None:
    keys = KeyFolder(tmp_path / "keys")
    other = "another-key".ljust(54, "x")
    keys.put(other, "other")
    end = time.time() + case.get("ends", 0)
    path = keys.put(KEY, "default")
    path.write_text(case["text"].replace("END", repr(end)))
    assert status(keys.folder) == case["worker"]
    # No other key is affected, and the next pass of qwen3-keys writes the file again.
    assert status(keys.folder, other) == 200
    keys.put(KEY, "default")
    assert status(keys.folder) == 200


def test_no_file_is_accepted_by_nginx_but_not_by_a_worker() -> None:
    assert {(case["nginx"], case["worker"]) for case in DIGEST_FILES} == {
        (200, 200),
        (401, 200),
        (401, 401),
        (503, 503),
    }


def test_an_incomplete_file_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keys = KeyFolder(tmp_path / "keys")
    keys.put(KEY, "default").write_text('{"client": "a')
    worker = Authenticator(keys.folder)
    for _ in range(3):
        with pytest.raises(ApiError) as caught:
            worker.client_of([(b"authorization", f"Bearer {KEY}".encode())])
        assert caught.value.headers["Retry-After"] == "2"
    [record] = caplog.records
    assert digest(KEY) in record.getMessage()
    assert KEY not in caplog.text


def test_two_headers_are_refused(tmp_path: Path) -> None:
    keys = KeyFolder(tmp_path / "keys")
    header = (b"authorization", f"Bearer {KEY}".encode())
    with pytest.raises(ApiError, match="401"):
        Authenticator(keys.folder).client_of([header, header])


def test_missing_key(worker: HttpWorker) -> None:
    for method, path, body in (("POST", "/v1/embeddings", b"{}"), ("GET", "/v1/models", None)):
        reply = worker.call(method, path, body, key=None)
        assert refused(reply, 401)
        assert reply.headers["WWW-Authenticate"] == 'Bearer realm="qwen3-embedding"'


@pytest.mark.parametrize(
    "value",
    [
        "Bearer x",
        "Basic " + KEY,
        "Bearer",
        "Bearer schl\u00fcssel",
        f"Bearer {KEY} {KEY}",
        "Bearer ../loaded",
        "Bearer " + "k" * 600,
    ],
)
def test_wrong_key(worker: HttpWorker, value: str) -> None:
    reply = worker.call("GET", "/v1/models", key=None, headers={"Authorization": value})
    assert refused(reply, 401, code="invalid_api_key")
    assert 'error="invalid_token"' in reply.headers["WWW-Authenticate"]


@pytest.mark.parametrize(("seconds", "expected"), [(60, 200), (-50, 200), (-61, 401)])
def test_key_with_an_end(worker: HttpWorker, seconds: int, expected: int) -> None:
    worker.keys.put("k" * 40, "app", time.time() + seconds)
    assert worker.call("GET", "/v1/models", key="k" * 40).status == expected


def test_keys_that_are_not_loaded(worker: HttpWorker) -> None:
    worker.keys.loaded.unlink()
    try:
        reply = worker.call("GET", "/v1/models", key="x")
        assert refused(reply, 503, code="service_unavailable")
        assert reply.headers["Retry-After"]
    finally:
        worker.keys.loaded.touch()


def test_an_incomplete_file_is_503(worker: HttpWorker) -> None:
    path = worker.keys.put("c" * 40, "app")
    path.write_text('{"client": "a')
    reply = worker.call("GET", "/v1/models", key="c" * 40)
    assert refused(reply, 503, code="service_unavailable")
    assert reply.headers["Retry-After"] == "2"
    path.unlink()
    assert refused(worker.call("GET", "/v1/models", key="c" * 40), 401, code="invalid_api_key")
