"""nginx: its configuration, and the certificate that it serves."""

import ssl
import subprocess
import time
from pathlib import Path

from ..contract import CERTIFICATE, TLS
from .row import Check, Failed
from .system import TIMEOUT_SECONDS

ADDRESS = ("127.0.0.1", 443)
LEAST_DAYS = 60
DAY = 86_400


def configuration() -> str:
    """Also of files that changed since nginx was started, and would fail its next start."""
    done = subprocess.run(["nginx", "-t", "-q"], check=False, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    if done.returncode != 0:
        raise Failed(done.stderr.strip()[-300:] or f"nginx -t exits with {done.returncode}")
    return done.stderr.strip()[-300:] or "nginx -t accepts it"


def certificate(file: Path = TLS / CERTIFICATE, address: tuple[str, int] = ADDRESS) -> str:
    """The certificate on tmpfs is the one that nginx serves, and does not end soon."""
    pem = file.read_text()
    days = (end_of(pem) - time.time()) / DAY
    served = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(address, timeout=TIMEOUT_SECONDS))
    # Only the first one of a chain.
    first = pem[: pem.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n"
    if served != ssl.PEM_cert_to_DER_cert(first):
        raise Failed("nginx serves another certificate than Secrets Manager has")
    if days <= LEAST_DAYS:
        raise Failed(f"ends in {days:.0f} days")
    return f"served by nginx, ends in {days:.0f} days"


def end_of(pem: str) -> float:
    """When the first certificate ends, in seconds since the epoch."""
    printed = subprocess.run(
        ["openssl", "x509", "-noout", "-enddate"],
        input=pem,
        check=True,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    ).stdout
    return ssl.cert_time_to_seconds(printed.strip().removeprefix("notAfter="))


def checks() -> list[Check]:
    return [
        Check(
            "nginx accepts its configuration",
            "service",
            "nginx would not start again: nginx -t names the line; /etc/nginx/nginx.conf comes from the bundle",
            configuration,
        ),
        Check(
            f"the instance's certificate is valid for {LEAST_DAYS} days",
            "service",
            "run pulumi up, which renews the certificate in its last half year; if nginx serves another one, systemctl "
            "restart qwen3-keys",
            certificate,
        ),
    ]
