"""Requests from a grammar of inputs that have crashed servers of this kind, and of similar ones.

    python grammar.py REQUESTS SECONDS SEED < target.json

Prints one JSON document: the number of requests, by status, and each fault with its request. Valid requests are mixed
in, so that a worker that has ended is noticed.
"""

import collections
import http.client
import json
import random
import sys
import threading
import time
from typing import Any

from client import Target, fault

CONNECTIONS = 8
S = "SENTINEL"
NUMBERS = ["0", "-1", "1", "31", "32", "2560", "2561", "1e3", "1.5", "-0", "1e309", "-1e309", "9" * 400, "NaN", "Infinity", "0x10", "1_0", "true"]
TOKENS = ["0", "5", "-5", "99999999", "151643", "151664", "151665", "2147483648", "-9223372036854775809", "1e2", "1.0", "true", "null", '"1"', "[]", "{}"]
TEXTS = ['""', '" "', f'"{S}"', '"\\u0000"', '"\\ud800"', '"\\udfff\\ud800"', '"\\ud83d\\ude00"', '"<|endoftext|>"', '"<think>"', '"<|im_start|>"', '"\\ufeff"', '"\\n\\t"', '"' + "a" * 3000 + '"', '"\\u202e"', '"\x7f"', '"\t"']
NAMES = ["model", "input", "encoding_format", "dimensions", "instruction", "user", "rid", "embed_overrides", "lora_path", "image_data", "priority", "token_type_ids", "", "__proto__", "constructor", "a" * 200, "\\u0000"]
MODELS = ['"Qwen3-Embedding-4B"', '"Qwen/Qwen3-Embedding-4B"', '"qwen3-embedding-4b"', f'"{S}"', '"Qwen3-Embedding-4B:lora"', '""', "null", "1", "[]", '"../../etc/passwd"', '"' + "m" * 5000 + '"']
PATHS = ["/generate", "/v1/completions", "/v1/chat/completions", "/server_info", "/get_server_info", "/flush_cache", "/update_weights_from_disk", "/health_generate", "/healthz", "/metrics", "/ready", "/v1/models/x", "/v1/embeddings/", "//v1/embeddings", "/v1/%65mbeddings", "/docs", "/openapi.json", "/v1/rerank", "/encode", "/classify", "/abort_request", "/configure_logging", "/.env", "/v1/embeddings%00", "/v1/..%2fembeddings", "/*"]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "LOCK", "X"]
TYPES = ["application/json", "application/json; charset=utf-8", "application/json; charset=utf-16", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "application/xml", "", "application/JSON", "application/json;;;"]


class Grammar:
    def __init__(self, seed: str, model: str) -> None:
        self.random = random.Random(seed)
        self.model = json.dumps(model)

    def request(self) -> tuple[str, str, dict[str, str], bytes]:
        """Method, path, headers without the key, body."""
        kind = self.random.random()
        if kind < 0.06:
            return self.choice(METHODS), self.choice(PATHS), {}, b""
        if kind < 0.10:
            return self.choice(METHODS), self.choice(["/v1/embeddings", "/v1/models", "/health"]), {}, b""
        headers = {"Content-Type": "application/json"}
        if kind < 0.14:
            headers["Content-Type"] = self.choice(TYPES)
        elif kind < 0.16:
            headers["Content-Encoding"] = self.choice(["gzip", "br", "deflate", "identity", "x"])
        elif kind < 0.18:
            headers["X-Request-Id"] = self.choice([S, "a" * 200, "é", "a b", "1"])
        body = self.body()
        if kind > 0.93:
            body = self.mutate(body)
        return "POST", "/v1/embeddings", headers, body

    def body(self) -> bytes:
        if self.random.random() < 0.03:
            return self.choice(
                [b"", b"null", b"[]", b"1", b'"x"', b"{", b"{}", b"\xff\xfe", b"\xef\xbb\xbf{}", b"[" * 3000, b'{"a":' * 3000, b"\x00"]
            )
        fields = [("model", self.choice(MODELS) if self.rare() else self.model), ("input", self.input())]
        if self.sometimes():
            fields.append(("encoding_format", self.choice(['"float"', '"base64"', "null", '"hex"', "1", f'"{S}"'])))
        if self.sometimes():
            fields.append(("dimensions", self.choice(NUMBERS) if self.rare() else str(self.random.randint(32, 2560))))
        if self.sometimes():
            fields.append(("instruction", self.choice([*TEXTS, "null", "1", "[]", '"' + "i" * 5000 + '"'])))
        if self.sometimes():
            fields.append(("user", self.choice([*TEXTS, "null", "{}"])))
        if self.rare():
            fields.append((self.choice(NAMES), self.choice([*NUMBERS, *TEXTS, "[]", "{}", "null"])))
        self.random.shuffle(fields)
        if self.rare():
            fields.pop()
        text = "{" + ",".join(f'"{name}":{value}' for name, value in fields) + "}"
        return text.encode("utf-8", "surrogatepass")

    def input(self) -> str:
        kind = self.random.randrange(10)
        if kind < 3:
            return self.choice(TEXTS)
        if kind < 5:
            return self.items(lambda: self.choice(TEXTS))
        if kind < 7:
            return self.items(lambda: self.choice(TOKENS))
        if kind < 9:
            return self.items(lambda: self.items(lambda: self.choice(TOKENS)))
        return self.choice(["null", "{}", "[]", "[[]]", "[[[]]]", "1", "true", '[1,"a"]', '["a",1]', '["a",["b"]]', "[[1],2]", "[null]", "[{}]"])

    def items(self, item: Any) -> str:
        return "[" + ",".join(item() for _ in range(self.random.choice([0, 1, 1, 2, 3, 8]))) + "]"

    def mutate(self, body: bytes) -> bytes:
        """Changes, drops or doubles a few bytes."""
        changed = bytearray(body)
        for _ in range(self.random.randint(1, 4)):
            if not changed:
                break
            at = self.random.randrange(len(changed))
            match self.random.randrange(3):
                case 0:
                    changed[at] = self.random.randrange(256)
                case 1:
                    del changed[at : at + self.random.randint(1, 8)]
                case _:
                    changed[at:at] = changed[at : at + 16]
        return bytes(changed)

    def choice(self, values: list[Any]) -> Any:
        return self.random.choice(values)

    def rare(self) -> bool:
        return self.random.random() < 0.2

    def sometimes(self) -> bool:
        return self.random.random() < 0.3


class Run:
    """Connections that send requests until the number is reached or the time is over."""

    def __init__(self, target: Target, requests: int, seconds: float, seed: str) -> None:
        self._target = target
        self._left = requests
        self._end = time.monotonic() + seconds
        self._seed = seed
        self._lock = threading.Lock()
        self.statuses: collections.Counter[int] = collections.Counter()
        self.faults: list[dict[str, Any]] = []

    def run(self) -> None:
        threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _ask(self, number: int) -> None:
        grammar = Grammar(f"{self._seed}-{number}", self._target.model)
        connection = self._target.connect()
        while self._take():
            method, path, headers, body = grammar.request()
            try:
                status, problem = self._send(connection, method, path, headers, body)
            except (OSError, http.client.HTTPException) as error:
                # nginx closes a connection after a request that it could not read, so try once more on a new one.
                connection.close()
                connection = self._target.connect()
                try:
                    status, problem = self._send(connection, method, path, headers, body)
                except (OSError, http.client.HTTPException) as again:
                    status, problem = 0, f"no response: {error!r}, then {again!r}"
                    connection.close()
                    connection = self._target.connect()
            with self._lock:
                self.statuses[status] += 1
                if problem is not None:
                    self.faults.append({"fault": problem, "status": status, "method": method, "path": path, "headers": headers, "body": repr(body[:400])})
        connection.close()

    def _send(
        self, connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, str | None]:
        connection.putrequest(method, path, skip_accept_encoding=True)
        connection.putheader("Authorization", f"Bearer {self._target.key}")
        connection.putheader("Content-Length", str(len(body)))
        for name, value in headers.items():
            connection.putheader(name, value.encode("utf-8"))
        connection.endheaders(body)
        answer = connection.getresponse()
        text = answer.read()
        got = {name.lower(): value for name, value in answer.getheaders()}
        if method == "HEAD" and not text:
            return answer.status, None
        return answer.status, fault(answer.status, got, text, self._target.ca is not None)

    def _take(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0 and time.monotonic() < self._end


def main() -> None:
    requests, seconds, seed = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    run = Run(Target(**json.load(sys.stdin)), requests, seconds, seed)
    begin = time.monotonic()
    run.run()
    print(
        json.dumps(
            {
                "requests": sum(run.statuses.values()),
                "seconds": round(time.monotonic() - begin, 1),
                "statuses": dict(sorted(run.statuses.items())),
                "faults": run.faults[:20],
            }
        )
    )


if __name__ == "__main__":
    main()
