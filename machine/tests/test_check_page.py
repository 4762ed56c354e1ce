"""docs/reference/verify.md lists the rows of qwen3-check."""

from pathlib import Path
from unittest import mock

import pytest

from qwen3.check import __main__ as program

PAGE = Path(__file__).parents[2] / "docs/reference/verify.md"
NOT_OF_THE_PROGRAM = "the checks on the instance"
"""`npm run verify` shows it if the program does not report."""
SEARCH = ("no key, no private key in …", "fails")


def listed() -> list[tuple[str, str]]:
    """The name of each row on the instance, and what its failure does when keys alone change."""
    [section] = [text for text in PAGE.read_text().split("\n## ") if text.startswith("On each instance\n")]
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in section.splitlines() if line.startswith("| ")]
    return [(name, effect) for name, effect in rows[1:] if name != NOT_OF_THE_PROGRAM]


def test_the_page_lists_every_row_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "Aws", mock.Mock())
    effects = {"keys": "fails", "service": "warns"}
    checks = [(check.name, effects[check.about]) for check in program.all_checks(0)]
    assert listed() == [*checks, SEARCH]
