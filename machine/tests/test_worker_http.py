"""The responses of a worker over HTTP, with an engine that computes nothing."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from http_worker import HttpWorker
from tokenizers import Tokenizer
from worker_client import KEY, Reply, refused

from qwen3.contract import DIMENSIONS, MODEL_ID, SERVED_MODEL

BODY = json.dumps({"model": SERVED_MODEL, "input": "a"}).encode()


def ids_of(text: str, model: Path) -> list[int]:
    return Tokenizer.from_file(str(model / "tokenizer.json")).encode(text).ids


@pytest.fixture
def refusing(worker: HttpWorker) -> Iterator[HttpWorker]:
    """The worker; no request of the test may reach its engine."""
    before = worker.engine.requests
    yield worker
    assert worker.engine.requests == before


def test_models_and_health(refusing: HttpWorker) -> None:
    assert [model["id"] for model in refusing.call("GET", "/v1/models").json["data"]] == [SERVED_MODEL]
    reply = refusing.call("GET", "/health", key=None)
    assert (reply.status, reply.json) == (200, {"status": "ready"})


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/generate",
        "/v1/embeddings/",
        "/v1//embeddings",
        "/v1/%65mbeddings",
        "/v1/models/x",
        "/health_generate",
        "/server_info",
        "/docs",
    ],
)
def test_other_routes(refusing: HttpWorker, method: str, path: str) -> None:
    assert refused(refusing.call(method, path, b"{}"), 404, code="not_found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/embeddings", "POST"),
        ("DELETE", "/v1/embeddings", "POST"),
        ("POST", "/v1/models", "GET"),
        ("PUT", "/health", "GET"),
    ],
)
def test_other_methods(refusing: HttpWorker, method: str, path: str, allow: str) -> None:
    reply = refusing.call(method, path, b"{}")
    assert refused(reply, 405, code="method_not_allowed")
    assert reply.headers["Allow"] == allow


@pytest.mark.parametrize("given", [KEY + "/../x", "x" * 129, ""])
def test_a_new_request_id_replaces_an_invalid_one(
    refusing: HttpWorker, given: str, capfd: pytest.CaptureFixture[str]
) -> None:
    refusing.call("GET", "/v1/models", headers={"X-Request-Id": given})
    line = logged(capfd)
    assert len(line["request_id"]) == 32


def logged(capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The log line of the one request that the test has sent."""
    line: dict[str, Any] = json.loads(capfd.readouterr().out)
    return line


# --- what is refused

END = 256
"""The token that the random model's tokenizer appends."""
FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"input": ""}, "input"),
    ({"input": []}, "input"),
    ({"input": None}, "input"),
    ({"input": 5}, "input"),
    ({"input": {"a": 1}}, "input"),
    ({"input": [99999999, END]}, "input"),
    ({"input": [257, END]}, "input"),
    ({"input": [[-5, END]]}, "input[0]"),
    ({"input": [[]]}, "input[0]"),
    ({"input": [[5], []]}, "input[1]"),
    ({"input": [[[5]]]}, "input[0]"),
    ({"input": [[5], [True]]}, "input[1]"),
    ({"input": [True]}, "input"),
    ({"input": [1.5]}, "input[0]"),
    ({"input": [5, 1e300]}, "input"),
    ({"input": [[10**400]]}, "input[0]"),
    ({"input": ["a", 5]}, "input[1]"),
    ({"input": ["a", ""]}, "input[1]"),
    ({"input": [None]}, "input[0]"),
    ({"input": ["a", "\ud800"]}, "input[1]"),
    ({"input": ["a"] * 2049}, "input"),
    ({"dimensions": 31}, "dimensions"),
    ({"dimensions": 2561}, "dimensions"),
    ({"dimensions": 768.0}, "dimensions"),
    ({"dimensions": True}, "dimensions"),
    ({"dimensions": "768"}, "dimensions"),
    ({"encoding_format": "int8"}, "encoding_format"),
    ({"encoding_format": []}, "encoding_format"),
    ({"instruction": ""}, "instruction"),
    ({"instruction": 1}, "instruction"),
    ({"input": [5], "instruction": "a"}, "instruction"),
    ({"user": 1}, "user"),
    ({"rid": "x"}, "rid"),
    ({"embed_overrides": []}, "embed_overrides"),
    ({"model": 1}, "model"),
]


@pytest.mark.parametrize(("fields", "param"), FIELDS, ids=lambda value: str(value)[:40])
def test_rejected_fields(refusing: HttpWorker, fields: dict[str, Any], param: str) -> None:
    assert refused(refusing.embed(**{"input": "a", **fields}), 400, param)


def test_another_model(refusing: HttpWorker) -> None:
    assert refused(refusing.embed("a", model="gpt-4:lora"), 404, "model", "model_not_found")


def test_the_appended_token(model: Path) -> None:
    assert ids_of("", model) == [END]


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ("x" * 32768, "input"),
        (["a", "x" * 40000], "input[1]"),
        ([[5] * 32768 + [END]], "input[0]"),
        ("x" * 4_000_000, "input"),
    ],
    ids=["one more", "an item", "token IDs", "far too long"],
)
def test_rejected_lengths(refusing: HttpWorker, value: Any, param: str) -> None:
    assert refused(refusing.embed(value), 400, param, "context_length_exceeded")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"[]", None),
        (b'"a"', None),
        (b"{", None),
        (b'{"input": NaN}', None),
        (b'{"input": -Infinity}', None),
        (b'{"input": "\xff"}', None),
        (b"\xef\xbb\xbf{}", None),
        (b'{"input": ' + b"[" * 100_000, None),
        (b'{"a":' * 100_000, None),
        (b'{"input": ' + b"9" * 5000 + b"}", None),
        (b'{"input": "a", "input": "a"}', "input"),
        (b'{"model": {"a": 1, "a": 2}}', "a"),
        (b'{"input": "a"}', "model"),
        (b'{"model": "Qwen3-Embedding-4B"}', "input"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_rejected_bodies(refusing: HttpWorker, body: bytes, param: str | None) -> None:
    assert refused(refusing.call("POST", "/v1/embeddings", body), 400, param)


@pytest.mark.parametrize(
    "fields",
    [
        {"input": ["a", {"x": "SENTINEL"}]},
        {"model": "SENTINEL"},
        {"dimensions": "SENTINEL"},
        {"input": "SENTINEL " * 4000},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_nothing_is_echoed(refusing: HttpWorker, fields: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> None:
    reply = refusing.embed(**{"input": "a", **fields})
    assert reply.status in (400, 404)
    assert b"SENTINEL" not in reply.body
    assert "/" not in reply.error["message"]
    assert "SENTINEL" not in str(logged(capfd))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/json; charset=latin-1"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
        ({"Content-Encoding": "identity"}, 200),
    ],
)
def test_content_headers(worker: HttpWorker, headers: dict[str, str], status: int) -> None:
    reply = worker.call("POST", "/v1/embeddings", BODY, headers)
    assert reply.status == status
    assert status == 200 or refused(reply, status)


def test_too_large(refusing: HttpWorker) -> None:
    headers = {"Content-Type": "application/json", "Content-Length": str((8 << 20) + 1)}
    reply = refusing.call("POST", "/v1/embeddings", None, headers)
    assert refused(reply, 413, code="request_too_large")
    assert str(8 << 20) in reply.error["message"]


def test_token_ids_of_another_tokenizer(refusing: HttpWorker, model: Path) -> None:
    """Such IDs do not end in the token that this model's tokenizer appends, even if they are in its vocabulary."""
    ids = ids_of("ab", model)
    for value, param in ((ids[:-1], "input"), ([ids, ids[:-1]], "input[1]"), ([[2028, 374, 264]], "input[0]")):
        reply = refusing.embed(value)
        assert refused(reply, 400, param)
        assert f"without {ids[-1]} at their end" in reply.error["message"]
        assert "check_embedding_ctx_length=False" in reply.error["message"]


# --- what is computed


def test_formats_and_dimensions_agree(worker: HttpWorker) -> None:
    floats = worker.embed("text", encoding_format="float").vectors()
    packed = worker.embed("text", encoding_format="base64").vectors()
    assert floats.shape == (1, DIMENSIONS)
    np.testing.assert_allclose(floats, packed, atol=1e-6)
    for count in (32, 768, DIMENSIONS):
        short = worker.embed("text", dimensions=count).vectors()[0]
        np.testing.assert_allclose(short, floats[0][:count] / np.linalg.norm(floats[0][:count]), atol=1e-5)


def test_a_batch_keeps_its_order(worker: HttpWorker) -> None:
    texts = [f"text number {i}" for i in range(50)]
    reply = worker.embed(texts, user="u", model=MODEL_ID)
    assert reply.json["model"] == SERVED_MODEL
    assert [row["index"] for row in reply.json["data"]] == list(range(50))
    for i in (0, 20, 49):
        np.testing.assert_allclose(reply.vectors()[i], worker.embed(texts[i]).vectors()[0], atol=1e-5)


def test_log(worker: HttpWorker, capfd: pytest.CaptureFixture[str]) -> None:
    body = json.dumps({"model": SERVED_MODEL, "input": ["ab", "c"]}).encode()
    worker.call("POST", "/v1/embeddings", body, {"X-Request-Id": "r-1"})
    line = logged(capfd)
    expected = {"request_id": "r-1", "client": "default", "status": 200, "items": 2, "tokens": 5}
    assert {name: line[name] for name in expected} == expected
    assert line["path"] == "/v1/embeddings"
    assert KEY not in str(line)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (f'{{"{KEY}":1}}', "other"),
        (f'{{"{KEY}":1,"{KEY}":2}}', "other"),
        ('{"model":1}', "model"),
        (f'{{"model":"{SERVED_MODEL}","input":["a",""]}}', "input[1]"),
        (f'{{"model":"{KEY}","input":"a"}}', "model"),
    ],
)
def test_the_log_has_no_name_of_a_field_that_does_not_exist(
    worker: HttpWorker, body: str, param: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert worker.call("POST", "/v1/embeddings", body.encode()).status in (400, 404)
    text = capfd.readouterr().out
    assert json.loads(text)["param"] == param
    assert KEY not in text


def test_the_log_has_no_other_path_or_method(worker: HttpWorker, capfd: pytest.CaptureFixture[str]) -> None:
    worker.call(KEY.replace("_", ""), f"/{KEY}")
    line = logged(capfd)
    assert (line["method"], line["path"]) == ("other", "other")


def test_the_log_of_a_fault_has_lines_of_code_and_no_values(
    worker: HttpWorker,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def embed(*_: object) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())

    async def fail() -> None:
        try:
            raise KeyError(KEY)
        except KeyError as error:
            raise ValueError(f"not {KEY}") from error

    monkeypatch.setattr(worker.engine, "embed", embed)
    assert worker.embed("a").status == 500
    [record] = [each for each in caplog.records if each.name == "qwen3.worker.app"]
    text = record.getMessage() + capfd.readouterr().out
    assert KEY not in text
    for shown in ("ExceptionGroup", "KeyError", "ValueError", "in fail", "raise KeyError(KEY)"):
        assert shown in text
    assert record.exc_info is None


def test_overload(tmp_path: Path, model: Path) -> None:
    worker = HttpWorker(tmp_path, model, QWEN3_MAX_QUEUED_REQUESTS="4")
    try:
        worker.keys.put("o" * 40, "other")
        worker.engine.go_on.clear()
        replies: list[Reply] = []
        calls = [
            threading.Thread(target=lambda key=key: replies.append(worker.embed("a", key=key)))
            for key in (KEY, KEY, KEY, "o" * 40)
        ]
        for number, call in enumerate(calls, 1):
            call.start()
            while worker.engine.requests < number:
                threading.Event().wait(0.01)
        full = worker.embed("a")
        assert refused(full, 503, code="service_unavailable")
        assert full.headers["Retry-After"] == "1"
        worker.engine.go_on.set()
        for call in calls:
            call.join()
        assert [reply.status for reply in replies] == [200] * 4
        worker.engine.go_on.clear()
        calls = [threading.Thread(target=lambda: worker.embed("a")) for _ in range(3)]
        for number, call in enumerate(calls, 5):
            call.start()
            while worker.engine.requests < number:
                threading.Event().wait(0.01)
        own = worker.embed("a")
        assert refused(own, 429, code="rate_limit_exceeded")
        assert own.headers["Retry-After"] == "1"
    finally:
        worker.end()
