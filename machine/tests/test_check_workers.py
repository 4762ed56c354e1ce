"""qwen3-check asks each worker on its own port, over HTTP and with an engine that computes nothing."""

import json
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path

import pytest
from http_worker import HttpWorker
from worker_client import KEY

from qwen3.check import vectors, workers
from qwen3.check.row import Failed
from qwen3.check.workers import Workers
from qwen3.worker.items import Tokens
from qwen3.worker.response import Vectors


@pytest.fixture
def second(tmp_path: Path, model: Path) -> Iterator[HttpWorker]:
    worker = HttpWorker(tmp_path, model)
    yield worker
    worker.end()


def names(count: int) -> list[str]:
    return [f"qwen3-embed@{index}.service" for index in range(count)]


def instance(ports: list[int], state: Callable[[str], str] = lambda _: "active") -> Workers:
    return Workers(lambda: names(len(ports)), state, lambda index: ports[index])


def test_every_worker_returns_the_same_vectors(worker: HttpWorker, second: HttpWorker) -> None:
    seen = instance([worker.port, second.port]).run(lambda: KEY, 0)
    assert seen.startswith("2 of 2, each on its own port in ")


def test_a_worker_with_other_weights(worker: HttpWorker, second: HttpWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    embed = second.engine.embed

    async def other(client: str, items: Sequence[Tokens], request: Hashable) -> Vectors:
        return (await embed(client, items, request))[:, ::-1].copy()

    monkeypatch.setattr(second.engine, "embed", other)
    with pytest.raises(Failed, match=r"^the workers return different vectors for a text: cosine -?0\.0"):
        instance([worker.port, second.port]).run(lambda: KEY, 0)


def test_a_worker_that_is_down(worker: HttpWorker) -> None:
    state = {names(2)[0]: "active", names(2)[1]: "failed"}
    with pytest.raises(Failed, match=r"^qwen3-embed@1\.service: the unit is failed$"):
        instance([worker.port, 9], state.__getitem__).run(lambda: KEY, 60)


def test_a_worker_that_does_not_listen(worker: HttpWorker) -> None:
    with pytest.raises(Failed, match=r"^qwen3-embed@1\.service: .*refused"):
        instance([worker.port, 9]).run(lambda: KEY, 0)


def test_a_worker_that_does_not_know_the_key(worker: HttpWorker) -> None:
    with pytest.raises(Failed, match=r"^qwen3-embed@0\.service: /v1/embeddings returns 401$"):
        instance([worker.port]).run(lambda: "x" * 40, 0)


def test_a_worker_that_drains(second: HttpWorker) -> None:
    second.app.draining = True
    with pytest.raises(Failed, match=r"^qwen3-embed@0\.service: /health returns 503$"):
        instance([second.port]).run(lambda: KEY, 0)


def test_a_worker_that_is_starting_gets_time(worker: HttpWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    states = iter(["activating", "deactivating", "active", "active"])
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    assert instance([worker.port], lambda _: next(states)).run(lambda: KEY, 60)
    assert len(slept) == 2


def test_a_bundle_without_workers() -> None:
    with pytest.raises(Failed, match="the bundle enables no worker"):
        instance([]).run(lambda: KEY, 0)


def test_the_units_are_those_that_the_bundle_enables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "BUNDLE", tmp_path)
    (tmp_path / "enable").write_text(
        "qwen3-keys.service\nqwen3-embed@0.service\nnginx.service\nqwen3-embed@1.service\n"
    )
    assert workers.units() == names(2)


def test_the_vectors_that_two_instances_compare(worker: HttpWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QWEN3_MODEL_SOURCE", "s3://bucket/model")
    monkeypatch.setenv("QWEN3_ACCELERATOR", "cpu")
    # The first worker is down.
    found = vectors.document(instance([9, worker.port]), KEY)
    assert found["model"] == {
        "QWEN3_MODEL_SOURCE": "s3://bucket/model",
        "QWEN3_MODEL_SHA256": "",
        "QWEN3_ACCELERATOR": "cpu",
    }
    assert [len(vector) for vector in found["vectors"]] == [vectors.DIMENSIONS] * 3  # type: ignore[attr-defined]
    # Run Command returns 24,000 characters.
    assert len(json.dumps(found)) < 20_000


def test_no_vectors_without_a_worker() -> None:
    with pytest.raises(Failed, match=r"^qwen3-embed@0\.service: .*refused"):
        vectors.document(instance([9]), KEY)
