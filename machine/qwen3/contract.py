"""The constants that Python shares with the stack's TypeScript, nginx's script and the shell, from contract.json."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_contract = json.loads(Path(__file__).with_name("contract.json").read_text())
_paths: dict[str, str] = _contract["paths"]
_key_files: dict[str, str] = _contract["keyFiles"]
_tls_files: dict[str, str] = _contract["tlsFiles"]
_routes: dict[str, dict[str, str]] = _contract["routes"]
_model = _contract["model"]
_keys = _contract["keys"]
_limits: dict[str, int] = _contract["limits"]

# --- paths

ENVIRONMENT = Path(_paths["environment"])
"""The settings that every unit gets; mode 600, without a key."""
HOME = Path(_paths["home"])
"""The files that the bundle installs."""
STORE = Path(_paths["store"])
"""Virtual environments, models and uv's cache, each named by its contents. It may outlive the instance."""
BUNDLE = Path(_paths["bundle"])
"""The unpacked bundle, with the list of units that it enables."""
CACHE = Path(_paths["cache"])
"""The workers' caches of compiled kernels."""
KEYS = Path(_paths["keys"])
"""On tmpfs: the digests of the keys and two marks."""
TLS = Path(_paths["tls"])
"""On tmpfs: the endpoint's certificate and its private key."""
WORKERS = Path(_paths["workers"])
"""On tmpfs: a folder for each worker, named by its number."""
DRAIN = Path(_paths["drain"])
"""On tmpfs: what nginx reads in addition to its configuration while its requests are completed."""
DRAIN_CONFIGURATION: str = _contract["drainConfiguration"]
"""Contents of DRAIN: every response closes its connection."""

WORK: str = _contract["workFile"]
"""Below a worker's folder: what its engine has computed and has waiting; see worker/work.py."""

DIGESTS = _key_files["digests"]
"""Below KEYS: the folder with one file per digest, named by the digest."""
LOADED = _key_files["loaded"]
"""Below KEYS: exists once an unknown digest means a wrong key."""
STALE = _key_files["stale"]
"""Below KEYS: exists while something cannot be read from AWS. Contains when that began, in seconds since the epoch."""

CERTIFICATE = _tls_files["certificate"]
"""Below TLS: the certificate's chain in PEM."""
PRIVATE_KEY = _tls_files["privateKey"]
"""Below TLS: the certificate's private key in PEM."""

# --- accounts, ports, routes

KEYS_GROUP: str = _contract["accounts"]["keysGroup"]
"""The group that may read the digests."""
GATEWAY_PORT: int = _contract["ports"]["gateway"]
"""nginx's port on every address."""
FIRST_WORKER_PORT: int = _contract["ports"]["firstWorker"]
"""The first worker's port on 127.0.0.1; worker N listens on FIRST_WORKER_PORT + N."""


@dataclass(frozen=True)
class Route:
    """An exact path and its one method."""

    method: str
    path: str


EMBEDDINGS = Route(**_routes["embeddings"])
MODELS = Route(**_routes["models"])
HEALTH = Route(**_routes["health"])

# --- the model

SERVED_MODEL: str = _model["servedName"]
"""The model's name in responses."""
MODEL_ID: str = _model["id"]
"""The model's name on Hugging Face."""
DIMENSIONS: int = _model["dimensions"]
"""Of a vector."""
FEWEST_DIMENSIONS: int = _model["fewestDimensions"]
"""The minimum to which vectors can be shortened, according to the model's training."""
CONTEXT_LENGTH: int = _model["contextLength"]
"""Maximum length of an input in tokens, including the appended end-of-text token."""
CONTEXT_MARGIN: int = _model["contextMargin"]
"""Tokens by which SGLang's context length must exceed the maximum length of an input."""

# --- keys

TOKEN: str = _keys["token"]
"""Regular expression of a bearer token's characters: printable ASCII without spaces."""
SHORTEST_KEY: int = _keys["shortest"]
LONGEST_KEY: int = _keys["longest"]
"""In characters; nginx and the workers reject a longer token."""
CLIENT_NAME: str = _keys["clientName"]
"""Regular expression of a complete client name."""
POLL_SECONDS: int = _keys["pollSeconds"]
"""Between two passes of qwen3-keys."""
LINGER_SECONDS: int = _keys["lingerSeconds"]
"""After a key expires, its file is kept and the workers accept it for this long: nginx may have accepted a request
whose body is still being sent."""
LONGEST_GRACE_SECONDS: int = _keys["longestGraceSeconds"]
"""For which a previous key can remain valid."""

# --- limits

QUEUED_REQUESTS = _limits["queuedRequests"]
"""Requests that a worker holds by default, queued or computing."""
LONGEST_ANSWER_SECONDS = _limits["longestAnswerSeconds"]
"""For a client to read a complete response, and for nginx to wait for a worker."""
UPSTREAM_IDLE_SECONDS = _limits["upstreamIdleSeconds"]
"""How long nginx keeps an idle connection to a worker."""

# --- errors


@dataclass(frozen=True)
class Error:
    """An error that nginx and the workers both return."""

    status: int
    type: str
    code: str | None
    message: str
    headers: Mapping[str, str]


_errors = {name: Error(**error) for name, error in _contract["errors"].items()}

MISSING_KEY = _errors["missingKey"]
INVALID_KEY = _errors["invalidKey"]
NOT_FOUND = _errors["notFound"]
METHOD_NOT_ALLOWED = _errors["methodNotAllowed"]
"""With the header Allow."""
TOO_LARGE = _errors["tooLarge"]
"""The message contains `{bytes}`."""
TOO_MANY_REQUESTS = _errors["tooManyRequests"]
UNAVAILABLE = _errors["unavailable"]
