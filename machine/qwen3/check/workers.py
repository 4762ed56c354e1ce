"""Each worker on its own port, which nginx hides from clients."""

import http.client
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..contract import BUNDLE, EMBEDDINGS, FIRST_WORKER_PORT, HEALTH, SERVED_MODEL
from .row import POLL_SECONDS, Check, Failed
from .system import properties

TEXTS = ("Bread needs an oven", "Gravity holds the moon")
TIMEOUT_SECONDS = 60
SAME = 0.999
STARTING = ("activating", "deactivating", "reloading")

Vector = Sequence[float]


def units() -> list[str]:
    """The units of the workers that the bundle enables, in the order of their ports."""
    return [name for name in (BUNDLE / "enable").read_text().split() if name.startswith("qwen3-embed@")]


def state(unit: str) -> str:
    return properties(unit, "ActiveState")["ActiveState"]


@dataclass(frozen=True)
class Workers:
    """The workers of this instance."""

    units: Callable[[], list[str]] = units
    state: Callable[[str], str] = state
    port: Callable[[int], int] = lambda index: FIRST_WORKER_PORT + index

    def run(self, key: Callable[[], str], wait: float) -> str:
        """Every worker is active, ready, and returns the vectors that the first one returns.

        key: returns a valid key
        wait: for this many seconds, a worker may still be starting
        """
        names = self.units()
        self._wait(names, wait)
        valid_key = key()
        vectors: list[list[Vector]] = []
        problems = []
        begin = time.monotonic()
        for index, name in enumerate(names):
            try:
                if (active := self.state(name)) != "active":
                    raise Failed(f"the unit is {active}")
                vectors.append(embed(self.port(index), valid_key))
            except (Failed, OSError, http.client.HTTPException) as error:
                problems.append(f"{name}: {str(error) or type(error).__name__}")
        problems += disagreements(vectors)
        if problems or not names:
            raise Failed("; ".join(problems) or "the bundle enables no worker")
        seconds = (time.monotonic() - begin) / len(names)
        return f"{len(names)} of {len(names)}, each on its own port in {seconds:.2f} s, with the same vectors"

    def _wait(self, names: list[str], wait: float) -> None:
        deadline = time.monotonic() + wait
        while any(self.state(name) in STARTING for name in names) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)


def embed(port: int, key: str) -> list[Vector]:
    """One worker's vectors of the two texts. Raises Failed, OSError or HTTPException."""
    status, _ = request(port, HEALTH.method, HEALTH.path)
    if status != 200:
        raise Failed(f"{HEALTH.path} returns {status}")
    return embeddings(port, key, TEXTS)


def embeddings(port: int, key: str, texts: Sequence[str], dimensions: int | None = None) -> list[Vector]:
    """One worker's vectors of some texts. Raises Failed, OSError or HTTPException."""
    asked = {"model": SERVED_MODEL, "input": list(texts)} | ({"dimensions": dimensions} if dimensions else {})
    status, body = request(port, EMBEDDINGS.method, EMBEDDINGS.path, json.dumps(asked), key)
    if status != 200:
        raise Failed(f"{EMBEDDINGS.path} returns {status}")
    try:
        vectors = [item["embedding"] for item in json.loads(body)["data"]]
    except (ValueError, KeyError, TypeError):
        raise Failed(f"{EMBEDDINGS.path} returns something else than embeddings") from None
    if len(vectors) != len(texts):
        raise Failed(f"{len(vectors)} vectors for {len(texts)} texts")
    return vectors


def request(port: int, method: str, path: str, body: str | None = None, key: str | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def disagreements(vectors: Sequence[Sequence[Vector]]) -> list[str]:
    """Whether workers return other vectors than the first. With random weights all vectors are close to each other, so
    the cosine of the two texts is the scale."""
    if not vectors:
        return []
    [first, other] = vectors[0]
    different = cosine(first, other)
    cosines = [cosine(first, own) for own, _ in vectors[1:]]
    wrong = [same for same in cosines if not (same > SAME and 1 - different > 10 * (1 - same) + 1e-6)]
    return [f"the workers return different vectors for a text: cosine {min(wrong):.6f}"] if wrong else []


def cosine(one: Vector, other: Vector) -> float:
    return sum(a * b for a, b in zip(one, other, strict=False)) / (math.hypot(*one) * math.hypot(*other))


def checks(workers: Workers, key: Callable[[], str], wait: float) -> list[Check]:
    return [
        Check(
            "every worker embeds, on its own port",
            "service",
            "journalctl --namespace='*' -u 'qwen3-embed@*' says why a worker does not start; "
            "nginx uses the others meanwhile",
            lambda: workers.run(key, wait),
        )
    ]
