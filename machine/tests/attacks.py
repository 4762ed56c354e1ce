"""Requests of one client that cost a worker much more than they weigh, and what a second client notices of them."""

import json
import os
import subprocess
import sys
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
    """A body that is sent several times at a time, again and again."""

    body: Callable[[], bytes]
    at_a_time: int
    statuses: set[int] = field(default_factory=lambda: {400, 429})
    """That the client may get. 429 because one client may hold only a share."""
    reads: bool = True
    """Whether the client reads its responses."""
    seconds: float = 1.0
    """For which it lasts."""


ATTACKS: dict[str, Attack] = {
    "a long instruction before 2,048 letters": Attack(
        lambda: body(["a"] * 2048, instruction=EMOJI * 4096), 24, {200, 429}
    ),
    "4 MiB of emoji": Attack(lambda: body(EMOJI * MEBIBYTE), 8),
    "a million characters that NFC triples": Attack(lambda: body(EXPANDING * 1_000_000), 8),
    "half a text of spaces, then emoji": Attack(lambda: body(" " * 2 * MEBIBYTE + EMOJI * MEBIBYTE), 8),
    "8 MiB of []": Attack(lambda: filled(INPUT, "[]", "]}"), 8),
    "8 MiB of {}": Attack(lambda: filled(INPUT, "{}", "]}"), 8),
    "8 MiB of [] in another field": Attack(lambda: filled('{"user":[', "[]", "]}"), 8),
    "8 MiB of one key": Attack(lambda: filled("{", '"a":1', "}"), 8),
    "8 MiB of letters": Attack(lambda: filled(INPUT, '"a"', "]}"), 8),
    "8 MiB of numbers": Attack(lambda: filled(INPUT, "1", "]}"), 8),
    "8 MiB of lists of numbers": Attack(lambda: filled(INPUT, "[" + "255," * 4000 + "256]", "]}"), 8, {200, 429}),
    "8 MiB of escapes": Attack(lambda: body("x" * 3).replace(b"xxx", b"\\n" * (BODY // 2 - 100)), 8),
    "8 MiB of marks to sort": Attack(lambda: body("a" + "\u0301\u0323" * (2 * MEBIBYTE - 100)), 8),
    "64 KiB of []": Attack(lambda: filled(INPUT, "[]", "]}", 1 << 16), 64),
    "4 KiB of []": Attack(lambda: filled(INPUT, "[]", "]}", 1 << 12), 48),
    "large requests": Attack(lambda: body(["word " * 2000] * 100), 64, {200, 429}, seconds=4),
    "texts as long as the context": Attack(lambda: body(["w" * 32_000] * 50), 32, {200, 429}),
    "responses that are not read": Attack(
        lambda: body(["a"] * 17, dimensions=2559, encoding_format="float"), 90, set(), reads=False
    ),
}


class Attacker:
    """Sends an attack from a process of its own, so that it and the second client do not wait for each other."""

    def __init__(self, port: int, name: str) -> None:
        """Returns once the process can begin."""
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(port), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
            text=True,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._input, self._output = self._process.stdin, self._process.stdout
        assert self._output.readline()
        self.statuses: dict[int, int] = {}
        """How often the client got each status, after `running`."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Sends while the block runs, then disconnects from what has not responded yet."""
        self._input.write("\n")
        self._input.flush()
        try:
            yield
        finally:
            output, _ = self._process.communicate()
            self.statuses = {int(status): count for status, count in json.loads(output).items()}


def send(client: Client, attack: Attack, body: bytes, statuses: Counter[int]) -> None:
    """Sends a body again and again, or once if its response is not read."""
    if not attack.reads:
        connection = client.sent("POST", "/v1/embeddings", body, key=KEY)
        time.sleep(60)
        connection.close()
        return
    while True:
        status = client.call("POST", "/v1/embeddings", body, key=KEY).status
        statuses[status] += 1
        if status == 429:
            time.sleep(0.5)


def main(port: int, name: str) -> None:
    """The attacker's process: begins with a line of its standard input, ends with it, and prints the statuses."""
    attack, statuses = ATTACKS[name], Counter[int]()
    body = attack.body()
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(attack.at_a_time):
        threading.Thread(target=send, args=(Client(port), attack, body, statuses), daemon=True).start()
    sys.stdin.read()
    print(json.dumps(dict(statuses)), flush=True)
    os._exit(0)


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


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
