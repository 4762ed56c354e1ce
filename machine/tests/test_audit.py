"""What qwen3-audit finds, and what it reads."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeAws, key

from qwen3 import audit
from qwen3.needles import key_needles, pem_body, private_key_needles, secret_number

KEY = "qwen3_Zk3vP0aYt7Rb5uXw9Qe1Lm8Ns2Dc4Gf6Hj0Kd3Sa5Vb7Xc9Z"
OTHER = "qwen3_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
KINDS = {
    "EC": ["ecparam", "-name", "prime256v1", "-genkey", "-noout"],
    "EC in PKCS #8": ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "RSA": ["genrsa", "-traditional", "2048"],
    "RSA in PKCS #8": ["genpkey", "-algorithm", "RSA"],
}


@pytest.fixture(scope="module", params=KINDS)
def pem(request: pytest.FixtureRequest) -> str:
    return openssl(*KINDS[request.param])


def openssl(*arguments: str, given: str = "") -> str:
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, text=True, check=True).stdout


def found(needles: Iterator[bytes], text: bytes) -> bool:
    return audit.pattern(needles).search(text) is not None


def wrapped(text: bytes, columns: int) -> bytes:
    return b"\n".join(text[at : at + columns] for at in range(0, len(text), columns))


@pytest.mark.parametrize("before", range(70))
@pytest.mark.parametrize("columns", [64, 76, 1 << 20])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_finds_a_key_in_base64_wherever_it_begins_and_however_it_is_wrapped(
    before: int, columns: int, encode: Any
) -> None:
    text = b"x" * before + KEY.encode() + b"\nand more"
    assert found(key_needles(KEY), text)
    assert found(key_needles(KEY), wrapped(encode(text), columns))
    assert not found(key_needles(OTHER), wrapped(encode(text), columns))


@pytest.mark.parametrize("length", [32, 33, 34, 512])
def test_finds_short_and_long_keys(length: int) -> None:
    given = (KEY * 10)[:length]
    for before in range(3):
        assert found(key_needles(given), wrapped(base64.b64encode(b"x" * before + given.encode()), 76))


def test_finds_a_private_key_and_no_certificate_of_it(pem: str, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text(pem)
    certificate = openssl("req", "-x509", "-new", "-key", str(file), "-subj", "/CN=a", "-days", "2")
    public = openssl("pkey", "-pubout", given=pem)
    for text in (certificate, public):
        raw = text.encode()
        for each in (raw, base64.b64encode(raw), pem_body(text), base64.b64encode(b"x" + pem_body(text))):
            assert not found(private_key_needles(pem), each)
    raw = pem.encode()
    der = pem_body(pem)
    places = {
        "PEM": raw,
        "PEM in JSON": json.dumps({"privateKey": pem}).encode(),
        "PEM in one line": raw.replace(b"\n", b""),
        "DER": der,
        **{f"PEM in base64, at {n}": wrapped(base64.b64encode(b"x" * n + raw), 76) for n in range(3)},
        **{f"DER in base64, at {n}": wrapped(base64.b64encode(b"x" * n + der), 76) for n in range(3)},
        "JSON in base64": base64.b64encode(json.dumps({"privateKey": pem}).encode()),
    }
    assert [name for name, text in places.items() if not found(private_key_needles(pem), text)] == []


def test_uses_the_secret_number(pem: str) -> None:
    shown = openssl("pkey", "-noout", "-text", given=pem)
    [block] = [
        part for part in shown.replace("\n    ", "").split("\n") if part.startswith(("priv:", "privateExponent:"))
    ]
    assert secret_number(pem_body(pem)).hex().lstrip("0") == block.split(":", 1)[1].replace(":", "").strip().lstrip("0")


@pytest.mark.parametrize(
    "given", ["", "no PEM", "-----BEGIN X-----\nAAAA\n-----END X-----", "-----BEGIN X-----\nMIIB\n"]
)
def test_rejects_what_is_no_private_key_without_printing_it(given: str) -> None:
    with pytest.raises(ValueError, match=r"^(not a|no secret)"):
        list(private_key_needles(given))


def test_the_oldest_secret_is_the_start_of_the_search() -> None:
    aws = FakeAws()
    aws.put("arn:default", key("old"), at=900)
    aws.put("arn:default", key("previous"), at=10_000)
    aws.put("arn:default", key("current"), at=20_000)
    aws.put("arn:tls", json.dumps({"certificate": "c", "privateKey": "p"}), at=15_000)
    secrets = audit.load(aws)  # type: ignore[arg-type]
    assert secrets.keys == [key("previous"), key("current")]
    assert (secrets.private_key, secrets.since) == ("p", 10_000)


def test_reads_journals_since_a_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, written in (("id.a/system.journal", 9000), ("id.b/system@1.journal", 6300), ("id/system.journal", 9000)):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("x")
        os.utime(file, (written, written))
    commands: list[list[str]] = []

    def output(arguments: list[str]) -> Iterator[audit.Place]:
        commands.append(arguments)
        yield arguments[0], []

    monkeypatch.setattr(audit, "output", output)
    monkeypatch.setattr(audit, "JOURNALS", (str(tmp_path), "/none"))
    # An hour earlier, by which the clock may be wrong.
    places = [name for name, _ in audit.journals(10_000)]
    assert "--since=@6400" in commands[0]
    assert places == ["journalctl", "journalctl", str(tmp_path / "id.a/system.journal")]


def test_fails_if_units_have_no_journals(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(audit, "JOURNALS", (str(tmp_path),))
    monkeypatch.setattr(audit, "JOURNAL", ["echo"])
    [row] = audit.search("the journals", audit.journals(0), {"key": audit.pattern(key_needles(KEY))})
    assert (row["ok"], row["evidence"]) == (False, f"could not be searched: no journal of a unit in {tmp_path}")


def test_fails_if_the_journals_are_empty_or_cannot_be_read() -> None:
    needles = {"key": audit.pattern(key_needles(KEY))}
    [row] = audit.search("the journals", audit.output(["true"]), needles)
    assert (row["ok"], row["evidence"]) == (False, "could not be searched: nothing is there")
    [row] = audit.search("the journals", audit.output(["sh", "-c", "echo some; exit 1"]), needles)
    assert row["ok"] is False


def test_finds_a_key_that_is_split_between_two_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "CHUNK", 100)
    for before in range(60, 100, 7):
        places = audit.output(["sh", "-c", f"printf '%{before}s%s' '' {KEY}"])
        [row] = audit.search("somewhere", places, {"key": audit.pattern(key_needles(KEY))})
        assert row["ok"] is False
        assert KEY not in str(row)


def test_searches_files_but_for_packages_weights_and_journals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("log/journal/a.journal", "store/venvs/b", "log/c", "store/d"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    monkeypatch.setattr(audit, "FOLDERS", (str(tmp_path),))
    monkeypatch.setattr(audit, "INSTALLED", (str(tmp_path / "store/venvs"),))
    monkeypatch.setattr(audit, "JOURNALS", (str(tmp_path / "log/journal"),))
    assert sorted(Path(name).name for name, _ in audit.files()) == ["c", "d"]
