"""One check of the instance, and its row in the report."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from ..clients import describe

About = Literal["keys", "service"]
"""What a row is about: the keys, or the rest of the service. A change of keys alone fails only for the former."""

POLL_SECONDS = 1.0


class Failed(Exception):
    """What is wrong."""


class Skipped(Exception):
    """Why this instance cannot be checked for it."""


@dataclass(frozen=True)
class Row:
    """One row of the report. `ok` is None for a check that was skipped."""

    name: str
    about: About
    ok: bool | None
    evidence: str
    next: str

    def document(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class Check:
    """A check, and what to do if it fails. `run` returns the evidence, or raises Failed or Skipped."""

    name: str
    about: About
    next: str
    run: Callable[[], str]

    def row(self) -> Row:
        ok, evidence = self._result()
        return Row(self.name, self.about, ok, evidence, self.next)

    def _result(self) -> tuple[bool | None, str]:
        try:
            return True, self.run()
        except Skipped as reason:
            return None, str(reason)
        except Failed as problem:
            return False, str(problem)
        except (BotoCoreError, ClientError, OSError) as error:
            return False, describe(error)
        except subprocess.SubprocessError as error:
            return False, f"{type(error).__name__}: {error}"[:300]
        except Exception as error:
            # Only its type, because its text may contain what was read.
            return False, f"the check itself failed: {type(error).__name__}"


def until(run: Callable[[], str], seconds: float) -> str:
    """What `run` returns. Repeats it for this long while it raises Failed."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return run()
        except Failed:
            if time.monotonic() >= deadline:
                raise
        time.sleep(POLL_SECONDS)
