"""The worker's parts that need no engine: turns, admission, passes, and a tokenizer with more tokens than the model."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
from qwen3.worker.admission import Admission, FairQueue
from qwen3.worker.engine import ITEM_COST, PASS_COST, passes
from qwen3.worker.errors import ApiError
from qwen3.worker.request import EmbeddingRequest
from qwen3.worker.tokens import SLICE_CHARACTERS, Tokeniser, slices

ROOT = Path(__file__).resolve().parents[3]


class TurnsTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.order: list[str] = []
        self.turns = FairQueue(10)

    async def work(self, client: str, request: str, cost: int = 10) -> None:
        async with self.turns.turn(client, request, cost):
            self.order.append(client + request)
            await asyncio.sleep(0.001)

    async def test_clients_and_their_requests_alternate(self) -> None:
        work = [self.work("a", "1") for _ in range(6)] + [self.work("a", "2")] + [self.work("b", "1") for _ in range(2)]
        await asyncio.gather(*work)
        self.assertEqual(self.order[:5], ["a1", "a1", "b1", "a2", "b1"])
        self.assertEqual(self.order[5:], ["a1"] * 4)

    async def test_cancelled_work_gives_its_turn_back(self) -> None:
        running = asyncio.create_task(self.work("a", "1"))
        waiting = [asyncio.create_task(self.work("a", "2")) for _ in range(3)]
        await asyncio.sleep(0)
        for task in [running, *waiting[:2]]:
            task.cancel()
        await asyncio.gather(running, *waiting, return_exceptions=True)
        async with asyncio.timeout(1):
            await self.work("c", "1")
        self.assertEqual((self.order[-1], self.turns._free, len(self.turns._waiting)), ("c1", 10, 0))

    async def test_more_than_the_capacity_runs_alone(self) -> None:
        await asyncio.gather(self.work("a", "1", 50), self.work("b", "1", 1))
        self.assertEqual(self.order, ["a1", "b1"])


class AdmissionTest(unittest.TestCase):
    def status(self, admission: Admission, client: str, size: int) -> int:
        try:
            with admission.admit(client, size):
                return 200
        except ApiError as error:
            return error.status

    def test_a_share_for_each(self) -> None:
        admission = Admission(4, 1000)
        with admission.admit("a", 0), admission.admit("a", 0), admission.admit("a", 0):
            self.assertEqual(self.status(admission, "a", 0), 429)
            with admission.admit("b", 0):
                self.assertEqual(self.status(admission, "c", 0), 503)
            self.assertEqual(self.status(admission, "b", 0), 200)
        self.assertEqual((admission._all.requests, admission._all.size, dict(admission._clients)), (0, 0, {}))

    def test_memory(self) -> None:
        admission = Admission(4, 1000)
        self.assertEqual(self.status(admission, "a", 751), 429)
        with admission.admit("a", 700) as reservation:
            reservation.resize(100)
            reservation.resize(750)
            self.assertRaises(ApiError, reservation.resize, 751)
            self.assertEqual(self.status(admission, "b", 251), 503)
        self.assertEqual(admission._all.size, 0)


class SlicesTest(unittest.TestCase):
    def test_passes_keep_order_and_cost(self) -> None:
        items = [np.zeros(size, dtype=np.int32) for size in [1] * 200 + [9000] + [100] * 50]
        parts = list(passes(items))
        self.assertEqual([i for rows, _ in parts for i in range(rows.start, rows.stop)], list(range(len(items))))
        for rows, cost in parts:
            self.assertEqual(cost, sum(max(len(item), ITEM_COST) for item in items[rows]))
            self.assertTrue(cost <= PASS_COST or rows.stop - rows.start == 1)

    def test_slices_keep_order(self) -> None:
        texts = ["a" * SLICE_CHARACTERS, "b", "c" * (SLICE_CHARACTERS - 1), "d"]
        self.assertEqual([[text[0] for text in part] for part in slices(texts)], [["a"], ["b", "c"], ["d"]])


class TokeniserTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.model = Path(self.folder.name)
        subprocess.run([sys.executable, ROOT / "local/makeRandomModel.py", self.model], check=True)
        path = self.model / "tokenizer.json"
        self.definition = json.loads(path.read_text())

    def tokeniser(self, vocabulary: int = 257) -> Tokeniser:
        (self.model / "tokenizer.json").write_text(json.dumps(self.definition))
        return Tokeniser(self.model, vocabulary, 64)

    async def ids(self, tokeniser: Tokeniser, text: str) -> list[int]:
        [item] = await tokeniser.tokens(EmbeddingRequest([text], None, True, 2560, False))
        return item.tolist()

    async def test_tokens_beyond_the_model_are_text(self) -> None:
        plain = await self.ids(self.tokeniser(), "a<think>b")
        self.definition["added_tokens"].append(
            {**self.definition["added_tokens"][0], "id": 300, "content": "<think>", "special": False}
        )
        tokeniser = self.tokeniser()
        self.assertEqual(tokeniser.dropped, ["<think>"])
        self.assertEqual(await self.ids(tokeniser, "a<think>b"), plain)
        self.assertLess(max(plain), 257)

    async def test_a_tokenizer_that_appends_nothing_is_refused(self) -> None:
        self.definition["post_processor"] = None
        with self.assertRaisesRegex(SystemExit, "end-of-text"):
            self.tokeniser()

    async def test_a_tokenizer_of_another_model_is_refused(self) -> None:
        with self.assertRaisesRegex(SystemExit, "different models"):
            self.tokeniser(200)


class SettingsTest(unittest.TestCase):
    def test_errors_name_the_setting(self) -> None:
        from qwen3.settings import read_settings

        good = {"QWEN3_SERVED_MODEL": "m", "QWEN3_MODEL_ID": "o/m", "QWEN3_MODEL_PATH": "/m"}
        for name, value in (
            ("QWEN3_CONTEXT_LENGTH", "40000"),
            ("QWEN3_MEM_FRACTION_STATIC", "nan"),
            ("QWEN3_ACCELERATOR", "tpu"),
            ("QWEN3_MAX_INPUTS", "-1"),
        ):
            os.environ.update(good | {name: value})
            self.addCleanup(os.environ.pop, name, None)
            with self.assertRaisesRegex(SystemExit, f"{name} is '{value}'; allowed: "):
                read_settings()
            del os.environ[name]


if __name__ == "__main__":
    unittest.main()
