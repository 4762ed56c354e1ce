"""The endpoint's certificate and its private key on tmpfs, where nginx reads them."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from .digests import replace


class Certificate:
    """Keeps `certificate.pem` and `key.pem` of one folder equal to one version of the secret."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)

    def write(self, secret: str) -> bool:
        """Write the pair; answer whether it changed. Raises ValueError, without the secret, when it is not a pair."""
        try:
            document = json.loads(secret)
            certificate, key = document["certificate"], document["privateKey"]
        except (ValueError, KeyError, TypeError):
            raise ValueError('the certificate\'s secret is not {"certificate": PEM, "privateKey": PEM}') from None
        if self._read("certificate.pem") == certificate and self._read("key.pem") == key:
            return False
        # The pair changes as one: nginx must never load a certificate with the other one's key.
        following = self._folder / "following"
        shutil.rmtree(following, ignore_errors=True)
        following.mkdir(mode=0o700)
        replace(following / "certificate.pem", certificate, 0o600, -1)
        replace(following / "key.pem", key, 0o600, -1)
        os.replace(following / "key.pem", self._folder / "key.pem")
        os.replace(following / "certificate.pem", self._folder / "certificate.pem")
        following.rmdir()
        return True

    def _read(self, name: str) -> str | None:
        try:
            return (self._folder / name).read_text()
        except OSError:
            return None


def reload_nginx() -> None:
    """Have nginx take a new certificate; a running master keeps its connections. Raises CalledProcessError."""
    if subprocess.run(["systemctl", "is-active", "--quiet", "nginx"], check=False).returncode == 0:
        subprocess.run(["systemctl", "reload", "nginx"], check=True, timeout=30)
