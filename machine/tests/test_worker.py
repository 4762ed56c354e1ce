"""The worker as it runs on a machine, on the CPU with the tiny random model: real SGLang, real HTTP.

    PYTHONPATH=machine:machine/cpu \
        VENV/bin/python -m unittest discover -s machine/tests

QWEN3_TEST_MODEL names a model's folder; without it one is made. Takes two to three minutes.
"""

import base64
import hashlib
import http.client
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
KEY = "qwe3_" + "a" * 48
MODEL = "Qwen3-Embedding-4B"
DIMENSIONS = 2560
START_SECONDS = 300


class Reply:
    """An answer, with its JSON where it has some."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()
        self.json: Any = json.loads(self.body) if self.body else None

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]

    def vectors(self) -> np.ndarray:
        rows = [row["embedding"] for row in self.json["data"]]
        if isinstance(rows[0], str):
            return np.array([np.frombuffer(base64.b64decode(row), "<f4") for row in rows])
        return np.array(rows, dtype=np.float32)


OBSERVER = """
import gc, os, threading, time

def observe():
    while True:
        path = f"{os.path.dirname(__file__)}/{os.getpid()}"
        with open(f"{path}.new", "w") as file:
            file.write(str(gc.get_freeze_count()))
        os.replace(f"{path}.new", path)
        time.sleep(0.5)

threading.Thread(target=observe, daemon=True).start()
"""
"""Runs in each of a worker's processes and writes how many objects its garbage collector leaves alone."""


class Worker:
    """A worker process with its keys, its notification socket and its log in a temporary folder."""

    def __init__(self, index: int, **settings: str) -> None:
        self.port = 30000 + index
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        self.keys = folder / "keys"
        (self.keys / "door").mkdir(parents=True)
        self.put_key(KEY, "default")
        (self.keys / "loaded").touch()
        self._log = folder / "log"
        self._notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notifications.bind(str(folder / "notify"))
        self._heard: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._hear, daemon=True).start()
        self.model = Path(os.environ.get("QWEN3_TEST_MODEL") or folder / "model")
        if not self.model.exists():
            subprocess.run([sys.executable, ROOT / "local/makeRandomModel.py", self.model], check=True)
        self.observed = folder / "observed"
        self.observed.mkdir()
        (self.observed / "sitecustomize.py").write_text(OBSERVER)
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{self.observed}:{ROOT}/machine:{ROOT}/machine/cpu",
            "HOME": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NOTIFY_SOCKET": str(folder / "notify"),
            "WATCHDOG_USEC": "10000000",
            "QWEN3_SERVED_MODEL": MODEL,
            "QWEN3_MODEL_ID": "Qwen/Qwen3-Embedding-4B",
            "QWEN3_MODEL_PATH": str(self.model),
            "QWEN3_ACCELERATOR": "cpu",
            "QWEN3_KEYS_DIR": str(self.keys),
            **settings,
        }
        command = [sys.executable, "-W", "ignore", "-m", "qwen3.worker", str(index)]
        self.begin = time.monotonic()
        with self._log.open("w") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)

    def wait(self) -> None:
        """Until systemd would hold it for started."""
        deadline = self.begin + START_SECONDS
        while "READY=1" not in self.notifications(1.0, "READY=1"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the worker did not start:\n{self.log()[-4000:]}")

    def _hear(self) -> None:
        while message := self._notifications.recv(4096):
            self._heard.put(message.decode())

    def notifications(self, seconds: float, wanted: str = "") -> list[str]:
        """What it tells systemd from now on, for so many seconds or until it is what is wanted."""
        while not self._heard.empty() and not wanted:
            self._heard.get()
        seen: list[str] = []
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and wanted not in seen:
            try:
                seen.append(self._heard.get(timeout=left))
            except queue.Empty:
                break
        return seen

    def log(self) -> str:
        return self._log.read_text()

    def logged(self, request_id: str) -> dict[str, Any]:
        """The line of a request, which is written after its answer."""
        for _ in range(100):
            lines = [json.loads(line) for line in self.log().splitlines() if line.startswith('{"request_id"')]
            if found := [line for line in lines if line["request_id"] == request_id]:
                return found[0]
            time.sleep(0.1)
        raise AssertionError(f"no line for {request_id}")

    def put_key(self, key: str, client: str, not_after: float | None = None) -> Path:
        path = self.keys / "door" / hashlib.sha256(key.encode()).hexdigest()
        path.write_text(json.dumps({"client": client, "notAfter": not_after}))
        return path

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        key: str | None = KEY,
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        sent = {"Content-Type": "application/json"} if body is not None else {}
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        connection.request(method, path, body, sent | (headers or {}))
        try:
            return Reply(connection.getresponse())
        finally:
            connection.close()

    def embed(self, input: Any, key: str = KEY, **fields: Any) -> Reply:
        body = json.dumps({"model": MODEL, "input": input, **fields}).encode()
        return self.call("POST", "/v1/embeddings", body, key=key)

    def children(self) -> list[int]:
        return [
            int(pid) for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ]

    def scheduler(self) -> int:
        """SGLang names its processes; the scheduler holds the model."""
        return next(pid for pid in self.children() if b"scheduler" in Path(f"/proc/{pid}/cmdline").read_bytes())

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._folder.cleanup()


class ServingTest(unittest.TestCase):
    """One worker with the default settings: what it answers, what it refuses, and how it stops."""

    worker: Worker

    @classmethod
    def setUpClass(cls) -> None:
        cls.worker = Worker(101)
        cls.addClassCleanup(cls.worker.end)
        cls.worker.wait()
        print(f"started in {time.monotonic() - cls.worker.begin:.0f} s", file=sys.stderr)

    def refuse(self, reply: Reply, status: int, param: str | None = None, code: str | None = None) -> None:
        self.assertEqual(reply.status, status, reply.body[:300])
        self.assertEqual(set(reply.error), {"message", "type", "param", "code"})
        self.assertEqual((reply.error["param"], reply.error["code"]), (param, code), reply.error)

    def test_what_is_loaded_is_not_looked_through_for_garbage(self) -> None:
        pids = (self.worker.process.pid, self.worker.scheduler())
        time.sleep(1.5)
        frozen = [int((self.worker.observed / str(pid)).read_text()) for pid in pids]
        self.assertGreater(min(frozen), 100_000, frozen)

    # --- who is asking

    def test_missing_key(self) -> None:
        for method, path, body in (("POST", "/v1/embeddings", b"{}"), ("GET", "/v1/models", None)):
            reply = self.worker.call(method, path, body, key=None)
            self.refuse(reply, 401)
            self.assertEqual(reply.headers["WWW-Authenticate"], 'Bearer realm="qwen3-embedding"')

    def test_wrong_key(self) -> None:
        for value in (
            "Bearer x",
            "Basic " + KEY,
            "Bearer",
            "Bearer schl\u00fcssel",
            f"Bearer {KEY} {KEY}",
            "Bearer ../loaded",
            "Bearer " + "k" * 600,
        ):
            reply = self.worker.call("GET", "/v1/models", key=None, headers={"Authorization": value})
            self.refuse(reply, 401, code="invalid_api_key")
            self.assertIn('error="invalid_token"', reply.headers["WWW-Authenticate"])

    def test_key_with_an_end(self) -> None:
        now = time.time()
        for seconds, status in ((60, 200), (-50, 200), (-61, 401)):
            self.worker.put_key("k" * 40, "app", now + seconds)
            self.assertEqual(self.worker.call("GET", "/v1/models", key="k" * 40).status, status, seconds)

    def test_keys_not_loaded(self) -> None:
        loaded = self.worker.keys / "loaded"
        loaded.unlink()
        try:
            reply = self.worker.call("GET", "/v1/models", key="x")
            self.refuse(reply, 503, code="service_unavailable")
            self.assertTrue(reply.headers["Retry-After"])
        finally:
            loaded.touch()

    def test_corrupt_digest(self) -> None:
        self.worker.put_key("c" * 40, "app").write_text('{"client": "a')
        self.refuse(self.worker.call("GET", "/v1/models", key="c" * 40), 503, code="service_unavailable")
        self.assertIn("cannot be read", self.worker.log())

    def test_one_broken_or_lost_copy_refuses_nobody(self) -> None:
        key = "l" * 40
        path = self.worker.put_key(key, "app")
        edge = self.worker.keys / "edge"
        edge.mkdir(exist_ok=True)
        (edge / path.name).write_text(path.read_text())
        path.write_text("{")
        self.assertEqual(self.worker.call("GET", "/v1/models", key=key).status, 200)
        path.unlink()
        self.assertEqual(self.worker.call("GET", "/v1/models", key=key).status, 200)
        (edge / path.name).unlink()
        self.refuse(self.worker.call("GET", "/v1/models", key=key), 401, code="invalid_api_key")

    # --- routes

    def test_models_and_health(self) -> None:
        self.assertEqual([model["id"] for model in self.worker.call("GET", "/v1/models").json["data"]], [MODEL])
        reply = self.worker.call("GET", "/health", key=None)
        self.assertEqual((reply.status, reply.json), (200, {"status": "ready"}))

    def test_other_routes(self) -> None:
        for path in (
            "/",
            "/generate",
            "/v1/embeddings/",
            "/v1//embeddings",
            "/v1/%65mbeddings",
            "/v1/models/x",
            "/health_generate",
            "/server_info",
            "/docs",
        ):
            for method in ("GET", "POST"):
                self.refuse(self.worker.call(method, path, b"{}"), 404, code="not_found")

    def test_other_methods(self) -> None:
        for method, path, allow in (
            ("GET", "/v1/embeddings", "POST"),
            ("DELETE", "/v1/embeddings", "POST"),
            ("POST", "/v1/models", "GET"),
            ("PUT", "/health", "GET"),
        ):
            reply = self.worker.call(method, path, b"{}")
            self.refuse(reply, 405, code="method_not_allowed")
            self.assertEqual(reply.headers["Allow"], allow)

    # --- vectors

    def test_vectors(self) -> None:
        reply = self.worker.embed(["one", "another text", "one"], user="u")
        self.assertEqual(reply.status, 200, reply.body[:300])
        self.assertEqual((reply.json["object"], reply.json["model"]), ("list", MODEL))
        self.assertEqual([row["index"] for row in reply.json["data"]], [0, 1, 2])
        # A token a byte, and the end-of-text token.
        self.assertEqual(reply.json["usage"], {"prompt_tokens": 21, "total_tokens": 21})
        vectors = reply.vectors()
        self.assertEqual(vectors.shape, (3, DIMENSIONS))
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        similarity = vectors @ vectors.T
        self.assertGreater(similarity[0, 2], 0.9999)
        self.assertLess(similarity[0, 1], 0.97)

    def test_every_token_counts(self) -> None:
        """The vector is that of the last token, which attends to all before it."""
        vectors = self.worker.embed(["first word last", "other word last", "first word lasT"]).vectors()
        self.assertLess((vectors[0] @ vectors[1:].T).max(), 0.99)

    def test_formats_agree(self) -> None:
        plain = self.worker.embed("text", encoding_format="float").vectors()
        packed = self.worker.embed("text", encoding_format="base64").vectors()
        np.testing.assert_allclose(plain, packed, atol=1e-6)

    def test_dimensions(self) -> None:
        full = self.worker.embed("text").vectors()[0]
        for count in (32, 768, DIMENSIONS):
            short = self.worker.embed("text", dimensions=count).vectors()[0]
            self.assertEqual(len(short), count)
            np.testing.assert_allclose(short, full[:count] / np.linalg.norm(full[:count]), atol=1e-5)

    def test_instruction(self) -> None:
        asked = self.worker.embed(["text"], instruction="Find it").vectors()
        written = self.worker.embed(["Instruct: Find it\nQuery:text"]).vectors()
        np.testing.assert_allclose(asked, written, atol=1e-5)

    def test_token_ids(self) -> None:
        """As this model's tokenizer makes them, alone or in a list, they are the text that they spell."""
        text = self.worker.embed("ab").vectors()[0]
        ids = ids_of("ab", self.worker.model)
        for value in (ids, [ids]):
            reply = self.worker.embed(value)
            np.testing.assert_allclose(reply.vectors()[0], text, atol=1e-5)
            self.assertEqual(reply.json["usage"]["prompt_tokens"], 3)

    def test_token_ids_of_another_tokenizer(self) -> None:
        """Such IDs lack the token that this model's tokenizer appends, whether or not they are in its vocabulary."""
        ids = ids_of("ab", self.worker.model)
        for value, param in ((ids[:-1], "input"), ([ids, ids[:-1]], "input[1]"), ([[2028, 374, 264]], "input[0]")):
            reply = self.worker.embed(value)
            self.refuse(reply, 400, param)
            self.assertIn(f"without {ids[-1]} at their end", reply.error["message"])
            self.assertIn("check_embedding_ctx_length=False", reply.error["message"])

    def test_batch(self) -> None:
        texts = [f"text number {i} " + "x" * (i % 50) for i in range(300)]
        vectors = self.worker.embed(texts, encoding_format="base64").vectors()
        floats = self.worker.embed(texts).vectors()
        np.testing.assert_allclose(vectors, floats, atol=1e-4)
        for i in (0, 150, 299):
            self.assertGreater(vectors[i] @ self.worker.embed(texts[i]).vectors()[0], 0.9999)

    def test_long_text(self) -> None:
        reply = self.worker.embed("x" * 32767)
        self.assertEqual((reply.status, reply.json["usage"]["prompt_tokens"]), (200, 32768))

    def test_hugging_face_name(self) -> None:
        self.assertEqual(self.worker.embed("a", model="Qwen/Qwen3-Embedding-4B").json["model"], MODEL)

    # --- what is refused

    def test_refused_fields(self) -> None:
        end = ids_of("", self.worker.model)[-1]
        cases: list[tuple[dict[str, Any], str]] = [
            ({"input": ""}, "input"),
            ({"input": []}, "input"),
            ({"input": None}, "input"),
            ({"input": 5}, "input"),
            ({"input": {"a": 1}}, "input"),
            ({"input": [99999999, end]}, "input"),
            ({"input": [257, end]}, "input"),
            ({"input": [[-5, end]]}, "input[0]"),
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
        for fields, param in cases:
            with self.subTest(str(fields)[:60]):
                self.refuse(self.worker.embed(**{"input": "a", **fields}), 400, param)
        self.refuse(self.worker.embed("a", model="gpt-4:lora"), 404, "model", "model_not_found")

    def test_refused_lengths(self) -> None:
        code = "context_length_exceeded"
        self.refuse(self.worker.embed("x" * 32768), 400, "input", code)
        self.refuse(self.worker.embed(["a", "x" * 40000]), 400, "input[1]", code)
        self.refuse(self.worker.embed([[5] * 32768 + ids_of("", self.worker.model)]), 400, "input[0]", code)
        self.refuse(self.worker.embed("x" * 4_000_000), 400, "input", code)

    def test_refused_bodies(self) -> None:
        bodies = {
            b"": None,
            b"[]": None,
            b'"a"': None,
            b"{": None,
            b'{"input": NaN}': None,
            b'{"input": -Infinity}': None,
            b'{"input": "\xff"}': None,
            b"\xef\xbb\xbf{}": None,
            b'{"input": ' + b"[" * 100_000: None,
            b'{"a":' * 100_000: None,
            b'{"input": ' + b"9" * 5000 + b"}": None,
            b'{"input": "a", "input": "a"}': "input",
            b'{"model": {"a": 1, "a": 2}}': "a",
            b'{"input": "a"}': "model",
            b'{"model": "Qwen3-Embedding-4B"}': "input",
        }
        for body, param in bodies.items():
            with self.subTest(body[:40]):
                self.refuse(self.worker.call("POST", "/v1/embeddings", body), 400, param)

    def test_nothing_is_echoed(self) -> None:
        for fields in (
            {"input": ["a", {"x": "SENTINEL"}]},
            {"model": "SENTINEL"},
            {"dimensions": "SENTINEL"},
            {"input": "SENTINEL " * 4000},
        ):
            reply = self.worker.embed(**{"input": "a", **fields})
            self.assertIn(reply.status, (400, 404))
            self.assertNotIn(b"SENTINEL", reply.body)
            self.assertNotIn(b"/", reply.error["message"].encode())
        self.assertNotIn("SENTINEL", self.worker.log())

    def test_refused_headers(self) -> None:
        body = b'{"model": "Qwen3-Embedding-4B", "input": "a"}'
        for headers in (
            {"Content-Type": "text/plain"},
            {"Content-Type": "application/json; charset=latin-1"},
            {"Content-Encoding": "gzip"},
        ):
            self.refuse(self.worker.call("POST", "/v1/embeddings", body, headers), 415)
        for headers in ({"Content-Type": "application/json; charset=utf-8"}, {"Content-Encoding": "identity"}):
            self.assertEqual(self.worker.call("POST", "/v1/embeddings", body, headers).status, 200)

    def test_too_large(self) -> None:
        reply = self.worker.call(
            "POST", "/v1/embeddings", None, {"Content-Type": "application/json", "Content-Length": str((8 << 20) + 1)}
        )
        self.refuse(reply, 413, code="request_too_large")

    # --- work

    def test_disconnect_frees_the_work(self) -> None:
        body = json.dumps({"model": MODEL, "input": ["x" * 2000] * 200}).encode()
        headers = (
            "POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nX-Request-Id: gone\r\n"
            f"Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", self.worker.port)) as connection:
            connection.sendall(headers.encode() + body)
            time.sleep(3)
        begin = time.monotonic()
        self.assertEqual(self.worker.embed("after").status, 200)
        self.assertLess(time.monotonic() - begin, 25)
        line = self.worker.logged("gone")
        self.assertEqual((line["status"], line["items"], line["tokens"]), (499, 200, 200 * 2001))

    def test_bulk_lets_others_through(self) -> None:
        self.worker.put_key("o" * 40, "other")
        bulk = threading.Thread(target=self.worker.embed, args=(["x" * 1000] * 60,))
        bulk.start()
        time.sleep(1)
        self.assertEqual(self.worker.embed("small", key="o" * 40).status, 200)
        self.assertTrue(bulk.is_alive(), "the bulk ended before the small request was sent")
        bulk.join()

    def test_log(self) -> None:
        self.worker.call(
            "POST",
            "/v1/embeddings",
            json.dumps({"model": MODEL, "input": ["ab", "c"]}).encode(),
            {"X-Request-Id": "r-1"},
        )
        line = self.worker.logged("r-1")
        self.assertEqual(
            {name: line[name] for name in ("client", "status", "items", "tokens", "path")},
            {"client": "default", "status": 200, "items": 2, "tokens": 5, "path": "/v1/embeddings"},
        )
        self.assertNotIn(KEY, self.worker.log())

    def test_watchdog_follows_the_process(self) -> None:
        self.assertIn("WATCHDOG=1", self.worker.notifications(4))
        # Whoever computes for long is not silent: the process itself is well.
        scheduler = self.worker.scheduler()
        os.kill(scheduler, signal.SIGSTOP)
        try:
            self.assertIn("WATCHDOG=1", self.worker.notifications(4))
        finally:
            os.kill(scheduler, signal.SIGCONT)

    def test_zz_stop_finishes_what_is_in_progress(self) -> None:
        """Last by name: SIGTERM."""
        replies: list[Reply] = []
        call = threading.Thread(target=lambda: replies.append(self.worker.embed(["x" * 1000] * 20)))
        call.start()
        time.sleep(1)
        self.worker.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        # A request on its way is still taken, and its connection closed.
        late = self.worker.embed("late")
        self.assertEqual((late.status, late.headers["Connection"]), (200, "close"))
        call.join()
        self.assertEqual(len(replies[0].vectors()), 20)
        self.assertEqual(self.worker.process.wait(30), 0, self.worker.log()[-2000:])
        self.assertIn("STOPPING=1", self.worker.notifications(0.5, "STOPPING=1"))


class FaultTest(unittest.TestCase):
    """A worker with little room: overload, and the end of SGLang's scheduler."""

    def test_overload_and_the_end_of_the_scheduler(self) -> None:
        worker = Worker(102, QWEN3_MAX_QUEUED_REQUESTS="8", QWEN3_CONTEXT_LENGTH="1024")
        self.addCleanup(worker.end)
        worker.wait()
        worker.put_key("o" * 40, "other")
        self.check_overload(worker)
        self.check_silence()
        children = worker.children()
        begin = time.monotonic()
        os.kill(worker.scheduler(), signal.SIGKILL)
        self.assertNotEqual(worker.process.wait(10), 0)
        print(f"ended {time.monotonic() - begin:.2f} s after its scheduler", file=sys.stderr)
        time.sleep(1)
        self.assertFalse(
            [
                pid
                for pid in children
                if Path(f"/proc/{pid}").exists() and b"qwen3" in Path(f"/proc/{pid}/cmdline").read_bytes()
            ]
        )

    def check_silence(self) -> None:
        """A worker whose scheduler hangs ends itself, with all its processes."""
        worker = Worker(103, QWEN3_CONTEXT_LENGTH="1024", WATCHDOG_USEC="500000")
        self.addCleanup(worker.end)
        worker.wait()
        os.kill(worker.scheduler(), signal.SIGSTOP)
        begin = time.monotonic()
        self.assertNotEqual(worker.process.wait(20), 0)
        print(f"ended {time.monotonic() - begin:.1f} s after its scheduler hung", file=sys.stderr)
        self.assertIn("SGLang has said nothing for 4 s", worker.log())

    def check_overload(self, worker: Worker) -> None:
        statuses: list[tuple[int, float]] = []

        def call() -> None:
            begin = time.monotonic()
            reply = worker.embed(["x" * 1000] * 4)
            if reply.status != 200:
                assert reply.headers["Retry-After"] and reply.error["code"] == "rate_limit_exceeded", reply.body
            statuses.append((reply.status, time.monotonic() - begin))

        calls = [threading.Thread(target=call) for _ in range(20)]
        for thread in calls:
            thread.start()
        time.sleep(0.3)
        # A place is kept for others.
        self.assertEqual(worker.embed("small", key="o" * 40).status, 200)
        for thread in calls:
            thread.join()
        self.assertEqual({status for status, _ in statuses}, {200, 429})
        self.assertLess(max(seconds for status, seconds in statuses if status == 429), 1.5)


def ids_of(text: str, model: Path) -> list[int]:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(model / "tokenizer.json")).encode(text).ids


if __name__ == "__main__":
    unittest.main()
