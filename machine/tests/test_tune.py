"""The report of qwen3-tune, and that it ends what it started."""

import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qwen3.tune.candidates import PRESENT, Candidate
from qwen3.tune.engines import reason
from qwen3.tune.figures import combine
from qwen3.tune.report import Result, report


def figures(bulk: float, single: float, short: float = 100.0) -> dict[str, list[float]]:
    """Three rounds around these values, their medians."""
    around = {"bulk": bulk, "mixed": 100.0, "short": short, "single": single}
    return {kind: [0.99 * value, value, 1.01 * value] for kind, value in around.items()}


def advice(*candidates: Result, again: float = 100.0) -> str:
    present = Result(PRESENT, figures(100, 10))
    return report([present, *candidates, Result(PRESENT, figures(again, 10))])


def test_candidates_that_are_faster_beyond_the_noise_and_never_slower_are_listed_best_first() -> None:
    good = Result(Candidate("good", {"chunked_prefill_size": 8192}), figures(110, 10))
    best = Result(Candidate("best", {"attention_backend": "fa3"}), figures(130, 9))
    text = advice(good, best)
    assert text.index('best: {"attention_backend": "fa3"}') < text.index('good: {"chunked_prefill_size": 8192}')


def test_a_candidate_that_is_slower_for_some_traffic_is_not_listed() -> None:
    text = advice(Result(Candidate("trade"), figures(130, 20)), Result(Candidate("other"), figures(130, 10, 80)))
    assert "Keep the current arguments" in text


def test_a_gain_within_the_noise_does_not_count() -> None:
    better = Result(Candidate("better", {"x": 1}), figures(108, 10))
    assert "better: " in advice(better)
    assert "Keep the current arguments" in advice(better, again=110.0)


def test_a_loss_within_the_noise_is_not_accepted() -> None:
    trade = Result(Candidate("trade", {"x": 1}), figures(130, 10.6))
    certain, within = (
        report([Result(PRESENT, figures(100, 10)), trade, Result(PRESENT, figures(100, again))]) for again in (10, 10.6)
    )
    for text in (certain, within):
        assert "Keep the current arguments" in text
    assert "would decide" not in certain
    assert re.search(r"would decide:\n  trade: faster for bulk; for single undecided", within)


def test_a_candidate_that_does_not_start_is_reported_and_skipped() -> None:
    text = advice(Result(Candidate("fa3"), None, "does not start"))
    assert re.search(r"fa3 +does not start", text)
    assert "Keep the current arguments" in text


def test_the_reason_is_the_last_error_in_the_log_and_the_log_s_path(tmp_path: Path) -> None:
    log = tmp_path / "no-KV-pool.log"
    log.write_text(
        "Traceback (most recent call last):\n  File x\nValueError: first\ntorch.OutOfMemoryError: last\nKilled\n"
    )
    assert reason(log) == f"torch.OutOfMemoryError: last ({log})"
    log.write_text("warning\nQWEN3_CONTEXT_LENGTH is 5; allowed: up to 4\n\n")
    assert reason(log) == f"QWEN3_CONTEXT_LENGTH is 5; allowed: up to 4 ({log})"
    log.write_text("")
    assert reason(log) == f"nothing was written to {log}"


def test_a_candidate_s_description_has_every_kind_of_change() -> None:
    candidate = Candidate("both", {"x": 1}, {"pass_cost": 8192}, copies=2)
    assert candidate.what == '{"x": 1}, {"pass_cost": 8192}, 2 workers per GPU'


def test_the_rates_of_two_engines_are_added_and_a_single_request_is_their_mean() -> None:
    both = combine([figures(100, 10), figures(50, 20)])
    assert both["bulk"][1] == 150
    assert both["single"][1] == 15


STOPPED = """
import signal, sys
from pathlib import Path
from qwen3.tune.__main__ import stop
from qwen3.tune.engines import engine_process, read_line

signal.signal(signal.SIGTERM, stop)
with engine_process(["sh", "-c", "sleep 1000 & echo $!; wait"], Path(sys.argv[1])) as process:
    print(process.stdout.readline(), end="", flush=True)
    read_line(process, "ready")
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")
def test_a_stop_ends_the_engine_and_what_it_started(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STOPPED, str(tmp_path / "log")]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root) as tuning:
        assert tuning.stdout is not None
        grandchild = os.pidfd_open(int(tuning.stdout.readline()))
        tuning.send_signal(signal.SIGTERM)
        assert "stopped" in tuning.communicate(timeout=20)[1]
    # A process's descriptor is readable once it has ended.
    assert select.select([grandchild], [], [], 10)[0]
    os.close(grandchild)
