"""contract.json: its parts are consistent, and no module repeats them."""

import json
import re
from pathlib import Path

import pytest

from qwen3 import contract
from qwen3.digests import Entry, parse_entry

PACKAGE = Path(contract.__file__).parent
TEXTS = {
    "a path": r"/(opt|var/lib|var/cache|run|etc)/qwen3",
    "a port": r"\b30000\b",
    "the realm": r"Bearer realm",
    "a name": r"\"(qwen3-keys|aiuser|www-data)\"",
    "the model's name": r"Qwen3-Embedding-4B\"",
    "a route": r"\"/v1/|\"/health",
}


def test_the_digest_file() -> None:
    example = contract._contract["digestFile"]
    assert parse_entry(json.dumps(example)) == Entry("default", None)
    assert json.loads(Entry("default", None).text()) == example


def test_an_unknown_route_lists_the_routes() -> None:
    for route in (contract.EMBEDDINGS, contract.MODELS, contract.HEALTH):
        assert f"{route.method} {route.path}" in contract.NOT_FOUND.message


def test_paths_below_others() -> None:
    paths: dict[str, str] = contract._contract["paths"]
    for name in ("bundle", "library", "cpuLibrary", "venv", "installed"):
        assert Path(paths[name]).is_relative_to(contract.HOME)
    for name in ("keys", "tls"):
        assert Path(paths[name]).is_relative_to(paths["runtime"])


@pytest.mark.parametrize("what", TEXTS)
def test_no_module_repeats_the_contract(what: str) -> None:
    for path in PACKAGE.rglob("*.py"):
        code = re.sub(r'""".*?"""|#.*', "", path.read_text(), flags=re.DOTALL)
        # The logger's name.
        assert not re.search(TEXTS[what], code.replace('getLogger("qwen3-keys")', "")), path
