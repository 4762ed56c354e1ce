"""Fixtures for all tests."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_worker import HttpWorker
from hypothesis import settings
from scene import Scene

# No database of examples in the repository, and no failures on a slow host.
settings.register_profile("repository", database=None, deadline=None)
settings.load_profile("repository")


@pytest.fixture
def scene(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(tmp_path, caplog, monkeypatch)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random model's tokenizer and configuration."""
    folder = tmp_path_factory.mktemp("model")
    script = Path(__file__).parents[2] / "local/makeRandomModel.py"
    subprocess.run([sys.executable, script, folder], check=True)
    return folder


@pytest.fixture(scope="session")
def worker(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[HttpWorker]:
    """One worker with the default settings and a fake engine, the same for all tests."""
    worker = HttpWorker(tmp_path_factory.mktemp("worker"), model)
    yield worker
    worker.end()
