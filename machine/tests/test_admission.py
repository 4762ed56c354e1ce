"""How much a worker holds at a time, for all clients and for each."""

import pytest

from qwen3.worker.admission import Admission
from qwen3.worker.errors import ApiError


def status(admission: Admission, client: str, size: int) -> int:
    try:
        with admission.admit(client, size):
            return 200
    except ApiError as error:
        return error.status


def test_each_client_has_a_share() -> None:
    admission = Admission(4, 1000)
    with admission.admit("a", 0), admission.admit("a", 0), admission.admit("a", 0):
        assert status(admission, "a", 0) == 429
        with admission.admit("b", 0):
            assert status(admission, "c", 0) == 503
        assert status(admission, "b", 0) == 200
    assert (admission._all.requests, admission._all.size, dict(admission._clients)) == (0, 0, {})


def test_memory() -> None:
    admission = Admission(4, 1000)
    assert status(admission, "a", 751) == 429
    with admission.admit("a", 700) as reservation:
        reservation.resize(100)
        reservation.resize(750)
        with pytest.raises(ApiError):
            reservation.resize(751)
        assert status(admission, "b", 251) == 503
        reservation.resize(500)
        with reservation.extra(250):
            assert status(admission, "b", 251) == 503
        assert status(admission, "b", 251) == 200
        with pytest.raises(ApiError), reservation.extra(251):
            pass
        assert reservation.size == 500
    assert admission._all.size == 0
