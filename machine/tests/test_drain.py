"""qwen3-drain: which connections count, and when new ones wait."""

import argparse
from dataclasses import dataclass, field

import pytest

from qwen3 import drain
from qwen3.drain import HOLD_SECONDS, REST_SECONDS, RESUME_SECONDS, count_open

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def line(local: str, remote: str, state: str) -> str:
    return f"   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000     0        0 1\n"


def test_only_open_connections_of_other_hosts_to_the_gateway_count() -> None:
    gateway, client, loopback = "0A07D50A:01BB", "0107D50A:C001", "0100007F:C001"
    table = HEADER + "".join(
        [
            line("00000000:01BB", "00000000:0000", "0A"),  # listens
            line(gateway, client, "01"),
            line(gateway, client, "04"),
            line(gateway, client, "05"),  # the response has arrived
            line(gateway, client, "06"),
            line(gateway, client, "03"),  # completes its handshake after the hold
            line("0100007F:01BB", loopback, "01"),  # qwen3-check
            line("0A07D50A:7530", client, "01"),  # another port
        ]
    )
    assert count_open(table) == 3


@dataclass
class FakeGateway:
    """Connections that end at given times, and the times of everything that the drain does."""

    ends: list[float]
    now: float = 0.0
    held: bool = False
    done: list[tuple[float, str]] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def _note(self, what: str) -> None:
        self.done.append((round(self.now, 2), what))

    def close_after_response(self) -> None:
        self._note("close")

    def hold_new_connections(self) -> None:
        self.held = True
        self._note("hold")

    def accept_new_connections(self) -> None:
        self.held = False
        self._note("accept")

    def resume_after(self, seconds: float) -> None:
        self._note(f"resume {seconds:g}")

    def open_connections(self) -> int:
        return sum(end > self.now for end in self.ends)

    def drain(self, seconds: float) -> int:
        return drain.drain(self, seconds, self.clock, self.sleep)


def test_ends_as_soon_as_the_last_request_is_complete() -> None:
    gateway = FakeGateway([0.3, 0.9])
    assert gateway.drain(60) == 0
    assert gateway.now == pytest.approx(0.9, abs=0.06)
    assert gateway.held
    assert [what for _, what in gateway.done] == ["resume 80", "close", "hold", f"resume {RESUME_SECONDS}"]


def test_serves_the_connections_that_wait_while_a_long_request_is_computed() -> None:
    gateway = FakeGateway([10.0])
    assert gateway.drain(60) == 0
    assert gateway.now == pytest.approx(10.0, abs=0.1)
    holds = [when for when, what in gateway.done if what == "hold"]
    accepts = [when for when, what in gateway.done if what == "accept"]
    # New connections never wait longer than HOLD_SECONDS, and are served for REST_SECONDS after that.
    assert all(accept - hold <= HOLD_SECONDS + 0.1 for hold, accept in zip(holds, accepts, strict=False))
    assert all(hold - accept >= REST_SECONDS for accept, hold in zip(accepts, holds[1:], strict=False))
    assert gateway.held


def test_counts_what_is_open_at_the_deadline() -> None:
    gateway = FakeGateway([100.0, 200.0, 1.0])
    assert gateway.drain(5) == 2
    assert gateway.now == pytest.approx(5.0, abs=0.1)
    assert gateway.held


def test_without_time_the_move_cuts_what_is_open() -> None:
    gateway = FakeGateway([1.0])
    assert gateway.drain(0) == 1
    assert gateway.now == 0.0


@pytest.mark.parametrize("text", ["-1", "3601", "nan", "soon"])
def test_a_deadline_that_is_not_allowed(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="allowed: a number of seconds from 0 to 3600"):
        drain.deadline_seconds(text)
