"""The endpoint's certificate and its private key on tmpfs, where nginx reads them."""

import json
import os
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from .contract import CERTIFICATE, PRIVATE_KEY
from .files import link, read, replace

PAIR = (CERTIFICATE, PRIVATE_KEY)


def reload_nginx() -> None:
    """Makes a running nginx load its new certificate. Connections are kept. Raises OSError or SubprocessError.

    Does not wait, because nginx's start may itself wait for this unit.
    """
    subprocess.run(
        ["systemctl", "--no-block", "try-reload-or-restart", "nginx.service"],
        check=True,
        timeout=30,
        capture_output=True,
    )


class Certificate:
    """Keeps the certificate and the private key of the secret in one folder that only root can read.

    Both are links through `current`, so that the pair changes in one step and nginx never loads a certificate with
    another one's key.
    """

    def __init__(self, folder: Path, reload: Callable[[], None] = reload_nginx) -> None:
        self._folder = folder
        self._current = folder / "current"
        self._served = folder / "served"
        self._reload = reload
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)

    @property
    def present(self) -> bool:
        return all((self._folder / name).is_file() for name in PAIR)

    def follow(self, secret: str) -> None:
        """Makes the files contain this pair, and nginx use it.

        Raises ValueError, without the secret, if it is not a certificate and its key: the last pair remains in use.
        Raises OSError or SubprocessError if a file or nginx cannot be changed: the next call continues.
        """
        texts = parse_pair(secret)
        if any(read(self._folder / name) != text for name, text in zip(PAIR, texts, strict=True)):
            self._install(texts)
        # The mark outlives this process: if it ends before the reload, the next one reloads.
        pair = os.readlink(self._current)
        if read(self._served) != pair:
            self._reload()
            replace(self._served, pair, 0o600)

    def _install(self, texts: tuple[str, str]) -> None:
        pair = Path(tempfile.mkdtemp(prefix="pair-", dir=self._folder))
        try:
            for name, text in zip(PAIR, texts, strict=True):
                replace(pair / name, text, 0o600)
            check_pair(*(pair / name for name in PAIR))
        except (OSError, ValueError):
            shutil.rmtree(pair, ignore_errors=True)
            raise
        link(self._current, pair.name)
        for name in PAIR:
            link(self._folder / name, f"current/{name}")
        for other in self._folder.glob("pair-*"):
            if other != pair:
                shutil.rmtree(other, ignore_errors=True)


def parse_pair(secret: str) -> tuple[str, str]:
    try:
        document = json.loads(secret)
        certificate, key = document["certificate"], document["privateKey"]
    except (ValueError, KeyError, TypeError):
        certificate = key = None
    if not isinstance(certificate, str) or not isinstance(key, str):
        raise ValueError('the certificate\'s secret is not {"certificate": PEM, "privateKey": PEM}')
    return certificate, key


def check_pair(certificate: Path, key: Path) -> None:
    """Raises ValueError if nginx could not start with the pair."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        reason = (error.reason or "unreadable").lower().replace("_", " ")
        raise ValueError(f"the certificate and its private key cannot be used together ({reason})") from None
