"""What qwen3-tune makes of its figures; the engines themselves are for the machine."""

import os
import select
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from qwen3.tune import PRESENT, Candidate, Result, combine, reason, report


def figures(bulk: float, single: float, short: float = 100.0) -> dict[str, list[float]]:
    """Three rounds around these, their medians."""
    around = {"bulk": bulk, "mixed": 100.0, "short": short, "single": single}
    return {kind: [0.99 * value, value, 1.01 * value] for kind, value in around.items()}


class ReportTest(unittest.TestCase):
    def advice(self, *candidates: Result, again: float = 100.0) -> str:
        present = Result(PRESENT, figures(100, 10))
        return report([present, *candidates, Result(PRESENT, figures(again, 10))])

    def test_what_is_faster_beyond_the_noise_and_slower_nowhere_is_kept_the_best_first(self) -> None:
        good = Result(Candidate("good", {"chunked_prefill_size": 8192}), figures(110, 10))
        best = Result(Candidate("best", {"attention_backend": "fa3"}), figures(130, 9))
        text = self.advice(good, best)
        self.assertLess(text.index('best: {"attention_backend": "fa3"}'), text.index('good: {"chunked_prefill_size": 8192}'))

    def test_what_is_slower_for_some_traffic_is_not_kept(self) -> None:
        text = self.advice(Result(Candidate("trade"), figures(130, 20)), Result(Candidate("other"), figures(130, 10, 80)))
        self.assertIn("Keep the present arguments", text)

    def test_a_gain_within_the_noise_is_none(self) -> None:
        better = Result(Candidate("better", {"x": 1}), figures(108, 10))
        self.assertIn("better: ", self.advice(better))
        self.assertIn("Keep the present arguments", self.advice(better, again=110.0))

    def test_a_loss_within_the_noise_is_not_waved_through(self) -> None:
        trade = Result(Candidate("trade", {"x": 1}), figures(130, 10.6))
        certain, within = (
            report([Result(PRESENT, figures(100, 10)), trade, Result(PRESENT, figures(100, again))]) for again in (10, 10.6)
        )
        for text in (certain, within):
            self.assertIn("Keep the present arguments", text)
        self.assertNotIn("would decide", certain)
        self.assertRegex(within, r"would decide:\n  trade: faster for bulk; for single undecided")

    def test_a_candidate_that_does_not_start_is_said_and_passed_over(self) -> None:
        text = self.advice(Result(Candidate("fa3"), None, "does not start"))
        self.assertRegex(text, r"fa3 +does not start")
        self.assertIn("Keep the present arguments", text)

    def test_the_reason_is_the_last_error_that_sglang_wrote_and_where_the_rest_stands(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "no-KV-pool.log"
            log.write_text("Traceback (most recent call last):\n  File x\nValueError: first\ntorch.OutOfMemoryError: last\nKilled\n")
            self.assertEqual(reason(log), f"torch.OutOfMemoryError: last ({log})")
            log.write_text("warning\nQWEN3_CONTEXT_LENGTH is 5; allowed: up to 4\n\n")
            self.assertEqual(reason(log), f"QWEN3_CONTEXT_LENGTH is 5; allowed: up to 4 ({log})")
            log.write_text("")
            self.assertEqual(reason(log), f"nothing was written to {log}")

    def test_what_to_keep_names_every_kind_of_change(self) -> None:
        candidate = Candidate("both", {"x": 1}, {"pass_cost": 8192}, copies=2)
        self.assertEqual(candidate.what, '{"x": 1}, {"pass_cost": 8192}, 2 workers a GPU')

    def test_two_engines_add_up_and_a_single_request_is_their_mean(self) -> None:
        both = combine([figures(100, 10), figures(50, 20)])
        self.assertEqual(both["bulk"][1], 150)
        self.assertEqual(both["single"][1], 15)


STOPPED = """
import signal, sys
from pathlib import Path
from qwen3 import tune

signal.signal(signal.SIGTERM, tune.stop)
with tune.engine_process(["sh", "-c", "sleep 1000 & echo $!; wait"], Path(sys.argv[1])) as process:
    print(process.stdout.readline(), end="", flush=True)
    tune.read_line(process, "ready")
"""


class StopTest(unittest.TestCase):
    def test_a_stop_ends_the_engine_and_what_it_started(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-c", STOPPED, f"{folder}/log"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as tuning:
                assert tuning.stdout is not None
                grandchild = os.pidfd_open(int(tuning.stdout.readline()))
                self.addCleanup(os.close, grandchild)
                tuning.send_signal(signal.SIGTERM)
                self.assertIn("stopped", tuning.communicate(timeout=20)[1])
            # A process's descriptor is readable once it has ended.
            self.assertTrue(select.select([grandchild], [], [], 10)[0])


if __name__ == "__main__":
    unittest.main()
