"""What systemd and this host say."""

import shutil
import subprocess

TIMEOUT_SECONDS = 30


def output(*arguments: str) -> str:
    """A command's standard output. Raises SubprocessError if it fails, and OSError if it does not exist."""
    done = subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    return done.stdout


def properties(unit: str, *names: str) -> dict[str, str]:
    """Properties of a unit, as systemctl prints them; empty ones too."""
    printed = output("systemctl", "show", unit, *(f"--property={name}" for name in names))
    found = dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)
    return {name: found.get(name, "") for name in names}


def in_container() -> bool:
    """Whether this is the local environment's container, which cannot have everything that an instance has."""
    detect = shutil.which("systemd-detect-virt")
    return detect is not None and subprocess.run([detect, "--container", "--quiet"], check=False).returncode == 0
