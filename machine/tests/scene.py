"""A key agent with its own clock, fake AWS and folders."""

import json
import logging
import time
from pathlib import Path

import pytest
from fakes import NOW, SENTINEL, FakeAws, key, pair

from qwen3.agent import Agent
from qwen3.certificate import Certificate
from qwen3.digests import Digests, digest, read_entry


class Scene:
    """One client, `default`, whose current key is key("one"). No line of the log may hold a key."""

    def __init__(self, folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.now = NOW
        self.reloads = 0
        self.lines: list[str] = []
        self.aws = FakeAws()
        self._caplog = caplog
        caplog.set_level(logging.INFO, "qwen3-keys")
        monkeypatch.setattr(time, "time", lambda: self.now)
        self.aws.put("arn:tls", pair("first"), NOW)
        self.aws.put("arn:default", key("one"), NOW)
        self.restart()

    @property
    def digests(self) -> Path:
        return self.folder / "keys" / "digests"

    def restart(self) -> None:
        """Another process of the agent."""
        digests = Digests(self.folder / "keys", group=None)
        self.agent = Agent(self.aws, digests, Certificate(self.folder / "tls", self._reload))

    def _reload(self) -> None:
        self.reloads += 1

    def follow(self, *, expect_warning: bool = False) -> bool:
        """One pass. `lines` has what it logged, each line with its level in front."""
        self._caplog.clear()
        reached = self.agent.follow()
        self.lines = [f"{record.levelname}: {record.getMessage()}" for record in self._caplog.records]
        assert SENTINEL not in "\n".join(self.lines)
        assert any(line.startswith("WARNING") for line in self.lines) == expect_warning, self.lines
        return reached

    def rotate(self, name: str, arn: str = "arn:default") -> None:
        self.aws.put(arn, key(name), self.now)

    def path(self, name: str) -> Path:
        return self.digests / digest(key(name))

    def end(self, name: str) -> float | None:
        end: float | None = json.loads(self.path(name).read_text())["notAfter"]
        return end

    def valid(self) -> set[str]:
        """The digests that nginx accepts now."""
        entries = {path.name: read_entry(path) for path in self.digests.iterdir()}
        return {name for name, entry in entries.items() if entry is not None and entry.valid(self.now)}

    def at_worker(self) -> set[str]:
        """The digests that a worker accepts now."""
        entries = {path.name: read_entry(path) for path in self.digests.iterdir()}
        return {name for name, entry in entries.items() if entry is not None and entry.valid_at_worker(self.now)}

    def files(self) -> set[str]:
        return {path.name for path in self.digests.iterdir()}


def names(*keys: str) -> set[str]:
    return {digest(key(name)) for name in keys}
