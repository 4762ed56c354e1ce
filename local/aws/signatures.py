"""Signature Version 4: which principal signed a request, and whether the signature is valid."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from urllib.parse import quote

FORMAT = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<date>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, ?"
    r"SignedHeaders=(?P<headers>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class Signature:
    access_key_id: str
    date: str
    region: str
    service: str
    headers: list[str]
    value: str


def parse(authorization: str) -> Signature | None:
    """The parts of an Authorization header. None if it is not a Signature Version 4 header."""
    match = FORMAT.fullmatch(authorization)
    if match is None:
        return None
    found = match.groupdict()
    return Signature(
        found["key"], found["date"], found["region"], found["service"], found["headers"].split(";"), found["signature"]
    )


def fits(signature: Signature, secret_access_key: str, environ: dict, body: bytes) -> bool:
    """Whether the request was signed with this secret access key. The signature's age is not checked."""
    scope = f"{signature.date}/{signature.region}/{signature.service}/aws4_request"
    canonical = _canonical_request(signature, environ, body)
    text = "\n".join(
        ["AWS4-HMAC-SHA256", environ.get("HTTP_X_AMZ_DATE", ""), scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = f"AWS4{secret_access_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), signature.value)


def _canonical_request(signature: Signature, environ: dict, body: bytes) -> str:
    path = environ.get("RAW_URI", environ["PATH_INFO"]).split("?")[0]
    query = sorted(
        part if "=" in part else f"{part}=" for part in environ.get("QUERY_STRING", "").split("&") if part != ""
    )
    headers = "".join(f"{name}:{' '.join(_header(name, environ).split())}\n" for name in signature.headers)
    # S3 clients sign the digest in X-Amz-Content-SHA256; for a body in signed chunks that is a constant.
    payload = environ.get("HTTP_X_AMZ_CONTENT_SHA256") if signature.service == "s3" else None
    return "\n".join(
        [
            environ["REQUEST_METHOD"],
            path if signature.service == "s3" else quote(path, safe="/-_.~"),
            "&".join(query),
            headers,
            ";".join(signature.headers),
            payload or hashlib.sha256(body).hexdigest(),
        ]
    )


def _header(name: str, environ: dict) -> str:
    variable = name.upper().replace("-", "_")
    return environ.get(variable if variable in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{variable}", "")
