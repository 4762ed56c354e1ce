"""The worker with real SGLang, on the CPU with the tiny random model. Tests that need no SGLang are in machine/tests.

    PYTHONPATH=machine:machine/cpu:machine/tests VENV/bin/python -m unittest discover -s test/machine/python

QWEN3_TEST_MODEL names a model's folder; by default a model is made. The tests take two to three minutes. They use
unittest, because an instance has no pytest.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
import unittest
from pathlib import Path

import numpy as np
from worker_client import KEY, Reply
from worker_process import Worker

from qwen3.contract import DIMENSIONS, MODEL_ID
from qwen3.contract import SERVED_MODEL as MODEL


class ServingTest(unittest.TestCase):
    """One worker with the default settings: its vectors, its work, and how it stops."""

    worker: Worker

    @classmethod
    def setUpClass(cls) -> None:
        cls.worker = Worker(101)
        cls.addClassCleanup(cls.worker.end)
        cls.worker.wait()
        print(f"started in {time.monotonic() - cls.worker.begin:.0f} s", file=sys.stderr)

    def test_loaded_objects_are_excluded_from_garbage_collection(self) -> None:
        pids = (self.worker.process.pid, self.worker.scheduler())
        time.sleep(1.5)
        frozen = [int((self.worker.observed / str(pid)).read_text()) for pid in pids]
        self.assertGreater(min(frozen), 100_000, frozen)

    # --- vectors

    def test_vectors(self) -> None:
        reply = self.worker.embed(["one", "another text", "one"], user="u")
        self.assertEqual(reply.status, 200, reply.body[:300])
        self.assertEqual((reply.json["object"], reply.json["model"]), ("list", MODEL))
        self.assertEqual([row["index"] for row in reply.json["data"]], [0, 1, 2])
        # One token per byte, and the end-of-text token.
        self.assertEqual(reply.json["usage"], {"prompt_tokens": 21, "total_tokens": 21})
        vectors = reply.vectors()
        self.assertEqual(vectors.shape, (3, DIMENSIONS))
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        similarity = vectors @ vectors.T
        self.assertGreater(similarity[0, 2], 0.9999)
        self.assertLess(similarity[0, 1], 0.97)

    def test_every_token_counts(self) -> None:
        """The vector is that of the last token, which attends to all tokens before it."""
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
        """Token IDs of this model's tokenizer, alone or in a list, give the vectors of their text."""
        text = self.worker.embed("ab").vectors()[0]
        ids = ids_of("ab", self.worker.model)
        for value in (ids, [ids]):
            reply = self.worker.embed(value)
            np.testing.assert_allclose(reply.vectors()[0], text, atol=1e-5)
            self.assertEqual(reply.json["usage"]["prompt_tokens"], 3)

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
        self.assertEqual(self.worker.embed("a", model=MODEL_ID).json["model"], MODEL)

    # --- work

    def test_a_disconnect_cancels_the_work(self) -> None:
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

    def test_bulk_does_not_block_others(self) -> None:
        self.worker.keys.put("o" * 40, "other")
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
        # A long computation is not a hang: the process itself responds.
        scheduler = self.worker.scheduler()
        os.kill(scheduler, signal.SIGSTOP)
        try:
            self.assertIn("WATCHDOG=1", self.worker.notifications(4))
        finally:
            os.kill(scheduler, signal.SIGCONT)

    def test_zz_stop_finishes_what_is_in_progress(self) -> None:
        """Runs last, by its name: SIGTERM."""
        replies: list[Reply] = []
        call = threading.Thread(target=lambda: replies.append(self.worker.embed(["x" * 1000] * 20)))
        call.start()
        time.sleep(1)
        self.worker.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        # A request that is being sent is still accepted, and its connection closed.
        late = self.worker.embed("late")
        self.assertEqual((late.status, late.headers["Connection"]), (200, "close"))
        call.join()
        self.assertEqual(len(replies[0].vectors()), 20)
        self.assertEqual(self.worker.process.wait(30), 0, self.worker.log()[-2000:])
        self.assertIn("STOPPING=1", self.worker.notifications(0.5, "STOPPING=1"))


class FaultTest(unittest.TestCase):
    """A worker with little memory: overload, and the end of SGLang's scheduler."""

    def test_overload_and_the_end_of_the_scheduler(self) -> None:
        worker = Worker(102, QWEN3_MAX_QUEUED_REQUESTS="8", QWEN3_CONTEXT_LENGTH="1024")
        self.addCleanup(worker.end)
        worker.wait()
        worker.keys.put("o" * 40, "other")
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
        self.assertIn("SGLang has returned nothing for 4 s", worker.log())

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
        # A place is reserved for other clients.
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
