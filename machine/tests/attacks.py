"""Requests of one client that cost a worker much more than they weigh, and what a second client notices of them."""

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from worker_client import KEY, OTHER_KEY, Client

from qwen3.contract import SERVED_MODEL

MEBIBYTE = 1 << 20
BODY = 8 * MEBIBYTE
"""Maximum size of a body by default."""
EMOJI = "\U0001f600"
EXPANDING = "\U0001d160"
"""NFC makes three characters of it, with three times as many bytes."""


def body(value: object, **fields: object) -> bytes:
    request = {"model": SERVED_MODEL, "dimensions": 32, "encoding_format": "base64", "input": value, **fields}
    return json.dumps(request, ensure_ascii=False).encode()


def filled(begin: str, part: str, end: str, size: int = BODY) -> bytes:
    """A body of this size, with as many comma-separated parts as fit."""
    count = (size - len(begin) - len(end)) // (len(part) + 1)
    return (begin + ",".join([part] * count) + end).encode()


INPUT = f'{{"model":"{SERVED_MODEL}","input":['


@dataclass(frozen=True)
class Attack:
    """Bodies, of which some are sent at a time, again and again."""

    bodies: list[Callable[[], bytes]]
    at_a_time: int
    statuses: set[int] = field(default_factory=lambda: {400, 429})
    """That the client may get. 429 because one client may hold only a share."""
    reads: bool = True
    """Whether the client reads its responses."""


ATTACKS: dict[str, Attack] = {
    "a long instruction before 2,048 letters": Attack(
        [lambda: body(["a"] * 2048, instruction=EMOJI * 4096)], 24, {200, 429}
    ),
    "4 MiB of emoji": Attack([lambda: body(EMOJI * MEBIBYTE)], 8),
    "a million characters that NFC triples": Attack([lambda: body(EXPANDING * 1_000_000)], 8),
    "half a text of spaces, then emoji": Attack([lambda: body(" " * 2 * MEBIBYTE + EMOJI * MEBIBYTE)], 8),
    "8 MiB of []": Attack([lambda: filled(INPUT, "[]", "]}")], 8),
    "8 MiB of {}": Attack([lambda: filled(INPUT, "{}", "]}")], 8),
    "8 MiB of [] in another field": Attack([lambda: filled('{"user":[', "[]", "]}")], 8),
    "8 MiB of one key": Attack([lambda: filled("{", '"a":1', "}")], 8),
    "8 MiB of letters": Attack([lambda: filled(INPUT, '"a"', "]}")], 8),
    "8 MiB of empty texts": Attack([lambda: filled(INPUT, '""', "]}")], 8),
    "8 MiB of numbers": Attack([lambda: filled(INPUT, "1", "]}")], 8),
    "8 MiB of large numbers": Attack([lambda: filled(INPUT, "151643", "]}")], 8),
    "8 MiB of lists of numbers": Attack([lambda: filled(INPUT, "[" + "255," * 4000 + "256]", "]}")], 8, {200, 429}),
    "8 MiB of escapes": Attack([lambda: body("x" * 3).replace(b"xxx", b"\\n" * (BODY // 2 - 100))], 8),
    "8 MiB of marks to sort": Attack([lambda: body("a" + "\u0301\u0323" * (2 * MEBIBYTE - 100))], 8),
    "64 KiB of []": Attack([lambda: filled(INPUT, "[]", "]}", 1 << 16)], 64),
    "4 KiB of []": Attack([lambda: filled(INPUT, "[]", "]}", 1 << 12)], 128),
    "large requests": Attack([lambda: body(["word " * 2000] * 200)], 64, {200, 429}),
    "texts as long as the context": Attack([lambda: body(["w" * 32_000] * 50)], 32, {200, 429}),
    "responses that are not read": Attack(
        [lambda: body(["a"] * 17, dimensions=2559, encoding_format="float")], 180, set(), reads=False
    ),
}


class Attacker:
    """Sends an attack until the end of the block."""

    def __init__(self, client: Client, attack: Attack) -> None:
        self.statuses: Counter[int] = Counter()
        self._client = client
        self._bodies = itertools.cycle([make() for make in attack.bodies])
        send = self._send if attack.reads else self._send_and_wait
        self._threads = [threading.Thread(target=send) for _ in range(attack.at_a_time)]
        self._ending = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._ending.set()
            for thread in self._threads:
                thread.join()

    def _send(self) -> None:
        while not self._ending.is_set():
            status = self._client.call("POST", "/v1/embeddings", next(self._bodies), key=KEY).status
            self.statuses[status] += 1
            if status == 429:
                time.sleep(0.5)

    def _send_and_wait(self) -> None:
        connection = self._client.sent("POST", "/v1/embeddings", next(self._bodies), key=KEY)
        self._ending.wait()
        connection.close()


def second_client(client: Client, seconds: float, length: int) -> list[float]:
    """The times in seconds of requests of another client, each with one text of a length, one after another."""
    times: list[float] = []
    end = time.monotonic() + seconds
    while (begin := time.monotonic()) < end:
        reply = client.call("POST", "/v1/embeddings", body("w" * length), key=OTHER_KEY)
        assert reply.status == 200, reply.body[:300]
        times.append(time.monotonic() - begin)
        time.sleep(0.05)
    return times
