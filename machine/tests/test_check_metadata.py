"""qwen3-check connects to the metadata service with the restrictions of the units."""

import subprocess
from collections.abc import Mapping
from unittest import mock

import pytest

from qwen3.check import metadata
from qwen3.check.metadata import ANYTHING_DENIED, METADATA, UNITS, Host, out_of_reach
from qwen3.check.row import Failed, Skipped

DENIED = "[Errno 1] Operation not permitted"
WORKER, NGINX = UNITS


def host(
    *, enforced: bool = True, container: bool = False, open_unit: str | None = None, root_connects: bool = True
) -> Host:
    """open_unit: the unit without IPAddressDeny."""

    def connect(restrictions: Mapping[str, str], address: tuple[str, int]) -> str:
        if enforced and restrictions.get("IPAddressDeny"):
            return DENIED
        assert address == METADATA
        return "connected"

    return Host(
        lambda unit: {} if unit == open_unit else {"IPAddressDeny": "0.0.0.0/0 ::/0"},
        connect,
        lambda: root_connects,
        lambda: container,
    )


@pytest.mark.parametrize("container", [True, False])
def test_out_of_reach(container: bool) -> None:
    assert out_of_reach(host(container=container)) == f"{WORKER}: {DENIED}; {NGINX}: {DENIED}; root connects"


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("container", [True, False])
def test_a_unit_that_allows_it(unit: str, container: bool) -> None:
    with pytest.raises(Failed, match=f"^reached with the restrictions of {unit}: the unit allows it$"):
        out_of_reach(host(open_unit=unit, container=container))


def test_an_instance_that_does_not_enforce_it() -> None:
    with pytest.raises(Failed, match=r"this host does not enforce IPAddressDeny: it needs control groups v2$"):
        out_of_reach(host(enforced=False))


def test_a_container_that_cannot_enforce_it() -> None:
    with pytest.raises(Skipped, match=r"^this container's host does not enforce IPAddressDeny"):
        out_of_reach(host(enforced=False, container=True))


def test_a_metadata_service_that_is_down_shows_nothing() -> None:
    with pytest.raises(Skipped, match="no connection of root either"):
        out_of_reach(host(root_connects=False))


def test_connects_from_a_unit_with_the_same_properties() -> None:
    done = subprocess.CompletedProcess([], 0, stdout="connected\n")
    with mock.patch("subprocess.run", return_value=done) as run:
        given = {"User": "somebody", "IPAddressAllow": "", **ANYTHING_DENIED}
        assert metadata.connect_with(given, ("127.0.0.1", 9)) == "connected"
    [arguments] = run.call_args.args
    assert [each for each in arguments if each.startswith("--property")] == [
        "--property=User=somebody",
        "--property=IPAddressDeny=any",
    ]
    assert arguments[-2:] == ["127.0.0.1", "9"]


def test_what_the_transient_unit_runs() -> None:
    """The program itself, against a port on which nothing listens."""
    printed = subprocess.run(
        ["python3", "-c", metadata.CONNECT, "127.0.0.1", "9"], check=True, capture_output=True, text=True
    ).stdout
    assert "Connection refused" in printed
