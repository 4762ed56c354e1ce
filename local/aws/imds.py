"""EC2's instance metadata service for one local instance, version 2 only (a session token is required).

It listens on 169.254.169.254 in the instance's network namespace and serves the credentials of the instance's role,
which it gets from the emulator. The hop limit (`httpPutResponseHopLimit`) is not emulated: there are no network hops
between the instance and this service.
"""

from __future__ import annotations

import argparse
import datetime
import http.server
import json
import secrets
import time
import urllib.error
import urllib.request
from pathlib import Path

TOKEN_TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN_HEADER = "X-aws-ec2-metadata-token"
LONGEST_TTL = 21_600
RENEW_BEFORE_EXPIRY = datetime.timedelta(minutes=10)


class Metadata:
    """The metadata of one instance, by path below /latest/."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.credentials: dict[str, str] | None = None

    def role_credentials(self) -> dict[str, str] | None:
        """Credentials of the instance profile's role, renewed before they expire. None without a profile.

        While the emulator cannot be reached, the previous credentials are returned for as long as they are valid.
        """
        if self.arguments.instance_profile is None:
            return None
        if self.credentials is None or self._time_left() < RENEW_BEFORE_EXPIRY:
            try:
                self.credentials = self._fetch()
            except OSError:
                if self.credentials is None or self._time_left() < datetime.timedelta(0):
                    raise
        return self.credentials

    def _time_left(self) -> datetime.timedelta:
        expiry = datetime.datetime.fromisoformat(self.credentials["Expiration"])
        return expiry - datetime.datetime.now(datetime.timezone.utc)

    def _fetch(self) -> dict[str, str]:
        body = {"instanceProfile": self.arguments.instance_profile, "instanceId": self.arguments.instance_id}
        request = urllib.request.Request(
            f"{self.arguments.emulator}/_local/credentials",
            data=json.dumps(body).encode(),
            headers={"X-Local-Token": Path(self.arguments.token_file).read_text().strip()},
        )
        # The emulator is on the same host, so the host's proxy for the internet must not be used.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as response:
            return json.load(response)

    def answer(self, path: str) -> str | bytes | None:
        """The document at `path`, or None if there is none."""
        if path.startswith("meta-data/iam/"):
            return self._iam(path.removeprefix("meta-data/iam/"))
        identity = {"instanceId": self.arguments.instance_id, "region": self.arguments.region, "version": "2017-09-30"}
        documents = {
            "meta-data/instance-id": lambda: self.arguments.instance_id,
            "meta-data/": lambda: "iam/\ninstance-id\nplacement/\nservices/",
            "meta-data/placement/availability-zone": lambda: f"{self.arguments.region}a",
            "meta-data/placement/region": lambda: self.arguments.region,
            "meta-data/services/domain": lambda: "amazonaws.com",
            "meta-data/services/partition": lambda: "aws",
            "dynamic/instance-identity/document": lambda: json.dumps(identity, indent=2),
            "user-data": Path(self.arguments.user_data_file).read_bytes,
        }
        return documents[path]() if path in documents else None

    def _iam(self, path: str) -> str | None:
        credentials = self.role_credentials()
        if credentials is None:
            return None
        role = credentials["RoleName"]
        if path in ("security-credentials", "security-credentials/"):
            return role
        if path == "info":
            return json.dumps({"Code": "Success", "InstanceProfileArn": credentials["InstanceProfileArn"]}, indent=2)
        if path == f"security-credentials/{role}":
            given = ("AccessKeyId", "SecretAccessKey", "Token", "Expiration", "LastUpdated")
            return json.dumps({"Code": "Success", "Type": "AWS-HMAC", **{name: credentials[name] for name in given}}, indent=2)
        return None


class Handler(http.server.BaseHTTPRequestHandler):
    """The protocol of IMDSv2: PUT /latest/api/token for a session token, then GET with it."""

    server_version, sys_version = "EC2ws", ""
    metadata: Metadata
    sessions: dict[str, float] = {}

    def do_PUT(self) -> None:
        ttl = self.headers.get(TOKEN_TTL_HEADER, "")
        if self.path != "/latest/api/token":
            self._send(405)
        elif "X-Forwarded-For" in self.headers:
            self._send(403)
        elif not ttl.isdecimal() or not 1 <= int(ttl) <= LONGEST_TTL:
            self._send(400)
        else:
            token = secrets.token_urlsafe(40)
            self.sessions[token] = time.monotonic() + int(ttl)
            self._send(200, token, {TOKEN_TTL_HEADER: ttl})

    def do_GET(self) -> None:
        if self.sessions.get(self.headers.get(TOKEN_HEADER, ""), 0) < time.monotonic():
            self._send(401)
            return
        if not self.path.startswith("/latest/"):
            self._send(404)
            return
        try:
            found = self.metadata.answer(self.path.removeprefix("/latest/"))
        except (OSError, urllib.error.URLError) as error:
            self.log_error("no credentials: %s", error)
            self._send(500)
            return
        self._send(404) if found is None else self._send(200, found)

    def _send(self, status: int, body: str | bytes = b"", headers: dict[str, str] | None = None) -> None:
        content = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in {"Content-Type": "text/plain", "Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instance-id", required=True)
    parser.add_argument("--instance-profile", help="name; without it the instance has no credentials")
    parser.add_argument("--region", required=True)
    parser.add_argument("--emulator", required=True, help="URL of the emulator")
    parser.add_argument("--token-file", required=True, help="file with the token for the emulator")
    parser.add_argument("--user-data-file", required=True)
    parser.add_argument("--bind", default="169.254.169.254:80", help="ADDRESS:PORT")
    arguments = parser.parse_args()
    Handler.metadata = Metadata(arguments)
    address, port = arguments.bind.rsplit(":", 1)
    http.server.ThreadingHTTPServer((address, int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
