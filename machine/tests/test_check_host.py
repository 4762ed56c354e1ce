"""qwen3-check: nginx, the certificate, disks, the clock, and the report."""

import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from unittest import mock

import pytest
from botocore.exceptions import NoCredentialsError
from fakes import pair

from qwen3 import audit
from qwen3.check import __main__ as program
from qwen3.check import gateway, host
from qwen3.check.row import Check, Failed, Row, Skipped

# --- nginx


@pytest.mark.parametrize(
    ("code", "stderr", "ok"),
    [
        (0, "", True),
        (1, 'nginx: [emerg] unknown directive "x" in /etc/nginx/nginx.conf:3', False),
        (1, "", False),
    ],
)
def test_the_configuration(code: int, stderr: str, ok: bool) -> None:
    done = subprocess.CompletedProcess([], code, stdout="", stderr=stderr)
    with mock.patch("subprocess.run", return_value=done):
        if ok:
            assert gateway.configuration() == "nginx -t accepts it"
        else:
            with pytest.raises(Failed, match=r"unknown directive|exits with 1"):
                gateway.configuration()


class Served:
    """A TLS server with a certificate, and the file of that certificate."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "certificate.pem"
        document = json.loads(pair("first"))
        self.file.write_text(document["certificate"])
        (folder / "key.pem").write_text(document["privateKey"])
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.file, folder / "key.pem")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with suppress(OSError), self._context.wrap_socket(connection, server_side=True):
                pass

    def end(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    server = Served(tmp_path)
    yield server
    server.end()


def in_days(monkeypatch: pytest.MonkeyPatch, days: float, pem: str) -> None:
    """Makes it so many days before the certificate's end."""
    now = gateway.end_of(pem) - days * gateway.DAY
    monkeypatch.setattr("time.time", lambda: now)


def test_a_certificate(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    in_days(monkeypatch, 100, served.file.read_text())
    assert gateway.certificate(served.file, served.address) == "served by nginx, ends in 100 days"


def test_a_certificate_that_ends_soon(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    in_days(monkeypatch, 50, served.file.read_text())
    with pytest.raises(Failed, match=r"^ends in 50 days$"):
        gateway.certificate(served.file, served.address)


def test_a_certificate_that_nginx_has_not_loaded(served: Served) -> None:
    served.file.write_text(json.loads(pair("second"))["certificate"])
    with pytest.raises(Failed, match="nginx serves another certificate"):
        gateway.certificate(served.file, served.address)


# --- the host


def test_free_space(tmp_path: Path) -> None:
    assert host.space({tmp_path: 1, tmp_path / "missing": 1 << 60}).startswith(f"{tmp_path} ")
    with pytest.raises(Failed, match=rf"^{tmp_path} has [\d,]+ MiB$"):
        host.space({tmp_path: 1 << 60})


def test_the_clock() -> None:
    assert host.clock(lambda: False, lambda: "yes\n") == "synchronized"
    with pytest.raises(Failed, match="not synchronized"):
        host.clock(lambda: False, lambda: "no\n")
    with pytest.raises(Skipped, match="host's clock"):
        host.clock(lambda: True, lambda: "no\n")


class Packages:
    """What dpkg and apt print."""

    def __init__(self, installed: str, held: str, periodic: str = "1") -> None:
        self.printed = {
            "dpkg-query": installed,
            "apt-mark": held,
            "apt-config": f'APT::Periodic::Unattended-Upgrade "{periodic}";\n',
        }

    def __call__(self, program: str, *_: str) -> str:
        return self.printed[program]


KERNEL = "6.17.0-1020-aws"
IMAGE = f"linux-image-{KERNEL}\n"


def test_upgrades(tmp_path: Path) -> None:
    def upgrades(packages: Packages, *, upgrader: bool = True, container: bool = False) -> str:
        return host.upgrades(lambda: container, packages, KERNEL, tmp_path if upgrader else tmp_path / "missing")

    assert upgrades(Packages(IMAGE, IMAGE)) == f"{KERNEL} stays; the rest is upgraded daily"
    # A kernel that no package brought is not upgraded.
    assert upgrades(Packages("linux-image-aws\n", "")).startswith(f"{KERNEL} stays")
    assert "not installed" in upgrades(Packages(IMAGE, IMAGE, "0"), upgrader=False)
    with pytest.raises(Failed, match=rf"^linux-image-{KERNEL} is not held"):
        upgrades(Packages(IMAGE, "linux-image-aws\n"))
    with pytest.raises(Failed, match="unattended upgrades are off"):
        upgrades(Packages(IMAGE, IMAGE, "0"))
    with pytest.raises(Skipped, match="host's kernel"):
        upgrades(Packages(IMAGE, "", "0"), container=True)


# --- rows and the report


@pytest.mark.parametrize(
    ("raised", "ok", "evidence"),
    [
        (None, True, "seen"),
        (Skipped("no"), None, "no"),
        (Failed("yes"), False, "yes"),
        (FileNotFoundError(2, "no such file", "x"), False, "FileNotFoundError: [Errno 2] no such file: 'x'"),
        (NoCredentialsError(), False, "NoCredentialsError: Unable to locate credentials"),
        (subprocess.TimeoutExpired("nginx", 30), False, "TimeoutExpired: Command 'nginx' timed out after 30 seconds"),
        (KeyError("a secret"), False, "the check itself failed: KeyError"),
    ],
)
def test_a_row(raised: Exception | None, ok: bool | None, evidence: str) -> None:
    run = mock.Mock(return_value="seen", side_effect=raised)
    assert Check("name", "service", "next", run).row() == Row("name", "service", ok, evidence, "next")


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (None, 0), (False, 1)])
def test_the_document(
    ok: bool | None, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = Row("a row", "service", ok, "seen", "do it")
    asked: list[float] = []

    def rows(wait: float) -> Iterator[Row]:
        asked.append(wait)
        yield row

    monkeypatch.setattr(program, "all_rows", rows)
    monkeypatch.setattr(sys, "argv", ["qwen3-check", "--json", "--wait", "0"])
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == code
    assert asked == [0]
    assert json.loads(capsys.readouterr().out) == {
        "checks": [{"name": "a row", "about": "service", "ok": ok, "evidence": "seen", "next": "do it"}]
    }


def test_the_search_for_keys_is_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: list[Check] = []
    monkeypatch.setattr(program, "all_checks", lambda _: nothing)
    monkeypatch.setattr(audit, "checks", lambda: [{"name": "no key in a file", "ok": False, "evidence": "/tmp/notes"}])
    [row] = program.all_rows(0)
    assert (row.name, row.about, row.ok) == ("no key in a file", "keys", False)
    assert row.next.startswith("rotate the key")
