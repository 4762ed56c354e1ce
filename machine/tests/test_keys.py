"""The key agent against an AWS of its own making: rotation, grace, outages, broken files, and no key anywhere.

/usr/bin/python3 -m unittest discover -s machine/tests
"""

import errno
import json
import logging
import os
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
from datetime import datetime, timezone
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1]))

from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError  # noqa: E402

from qwen3 import digests as digests_module  # noqa: E402
from qwen3 import keys as keys_module  # noqa: E402
from qwen3.aws import Aws, Index, Version, parse_index  # noqa: E402
from qwen3.certificate import Certificate  # noqa: E402
from qwen3.digests import DOOR_LINGERS_SECONDS, Digests, Entry, digest  # noqa: E402
from qwen3.keys import GONE_POLLS, Agent, Backoff, describe, is_outage, key_digest  # noqa: E402

SENTINEL = "qwe3_SENTINEL"
NOW = 1_800_000_000.0


def key(name: str) -> str:
    return f"{SENTINEL}{name}".ljust(54, "0")


def client_error(code: str, status: int = 400) -> ClientError:
    response = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "ListSecretVersionIds")


class FakeAws:
    """Secrets with versions and labels, as qwen3.aws.Aws answers them."""

    def __init__(self) -> None:
        self.grace = 3600.0
        self.clients = {"default": "arn:default"}
        self.secrets: dict[str, list[tuple[Version, str]]] = {}
        self.failing: dict[str, Exception] = {}
        self.values_read: list[str] = []

    def put(self, arn: str, value: str, at: float) -> None:
        """A new AWSCURRENT; the labels move as Secrets Manager moves them."""
        moved = []
        for version, old in self.secrets.get(arn, []):
            stage = {"AWSPREVIOUS"} if "AWSCURRENT" in version.stages else set()
            moved.append((Version(version.id, frozenset(stage), version.created), old))
        created = datetime.fromtimestamp(at, timezone.utc)
        version = Version(f"{arn}-{len(moved)}", frozenset({"AWSCURRENT"}), created)
        self.secrets[arn] = [*moved, (version, value)]

    def index(self) -> Index:
        self._fail("index")
        return Index(self.grace, dict(self.clients), "arn:tls")

    def versions(self, arn: str) -> list[Version]:
        self._fail(arn)
        return [version for version, _ in self.secrets[arn] if version.stages]

    def value(self, arn: str, version_id: str) -> str:
        self._fail(arn)
        self.values_read.append(version_id)
        return next(value for version, value in self.secrets[arn] if version.id == version_id)

    def _fail(self, what: str) -> None:
        error = self.failing.get("all") or self.failing.get(what)
        if error:
            raise error


class AgentTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.now = NOW
        self.enterContext(mock.patch.object(time, "time", lambda: self.now))
        self.reloads = 0
        self.aws = FakeAws()
        self.aws.put("arn:tls", pair("first"), NOW)
        self.aws.put("arn:default", key("one"), NOW)
        self.restart()

    def restart(self) -> None:
        self.digests = Digests(self.folder / "keys", group=None)
        self.certificate = Certificate(self.folder / "tls", self.reload)
        self.agent = Agent(self.aws, self.digests, self.certificate)

    def reload(self) -> None:
        self.reloads += 1

    def follow(self, expect_warning: bool = False) -> bool:
        with self.assertLogs("qwen3-keys", "INFO") as captured:
            keys_module.log.info("pass")
            reached = self.agent.follow()
        self.lines = [line for line in captured.output if not line.endswith(":pass")]
        self.assertNotIn(SENTINEL, "\n".join(self.lines))
        warned = any(line.startswith("WARNING") for line in self.lines)
        self.assertEqual(warned, expect_warning, self.lines)
        return reached

    def names(self, part: str) -> set[str]:
        return {path.name for path in (self.folder / "keys" / part).iterdir()}

    def end(self, part: str, name: str) -> float | None:
        return json.loads((self.folder / "keys" / part / digest(key(name))).read_text())["notAfter"]

    def assert_keys(self, *names: str) -> None:
        self.assertEqual(self.names("edge"), {digest(key(name)) for name in names})

    def rotate(self, name: str, arn: str = "arn:default") -> None:
        self.aws.put(arn, key(name), self.now)


class Credentials(unittest.TestCase):
    def test_a_start_without_the_metadata_service_looks_for_credentials_again(self) -> None:
        """botocore's session keeps that it found none."""
        sessions: list[mock.Mock] = []

        def session(**_: object) -> mock.Mock:
            sessions.append(mock.Mock())
            if len(sessions) == 1:
                sessions[0].client().list_secret_version_ids.side_effect = NoCredentialsError()
            else:
                sessions[-1].client().list_secret_version_ids.return_value = {"Versions": []}
            return sessions[-1]

        variables = {"AWS_REGION": "us-east-1", "QWEN3_BUCKET": "bucket", "QWEN3_INDEX_KEY": "index"}
        with mock.patch.dict(os.environ, variables), mock.patch("boto3.session.Session", session):
            aws = Aws()
            with self.assertRaises(NoCredentialsError):
                aws.versions("arn")
            self.assertEqual(aws.versions("arn"), [])
        self.assertEqual(len(sessions), 2)


class Rotation(AgentTest):
    def test_first_pass(self) -> None:
        self.assertFalse(self.agent.ready)
        self.assertTrue(self.follow())
        self.assertTrue(self.agent.ready)
        self.assert_keys("one")
        self.assertIsNone(self.end("edge", "one"))
        self.assertEqual(self.names("door"), self.names("edge"))
        self.assertFalse(self.agent.troubles)

    def test_a_value_is_read_once(self) -> None:
        for _ in range(5):
            self.follow()
        self.assertEqual(self.aws.values_read.count("arn:default-0"), 1)

    def test_grace_counts_from_the_creation_of_the_current_version(self) -> None:
        self.follow()
        self.rotate("two")
        created = self.now
        self.now += 1000  # the machine sees it late
        self.follow()
        self.assert_keys("one", "two")
        self.assertEqual(self.end("edge", "one"), created + 3600)
        self.assertIsNone(self.end("edge", "two"))
        self.now = created + 3600
        self.follow()
        self.assert_keys("two")

    def test_a_machine_that_boots_within_the_grace_honours_the_previous_key(self) -> None:
        self.rotate("two")
        self.now += 3599
        self.follow()
        self.assert_keys("one", "two")

    def test_a_third_key_back_is_refused(self) -> None:
        self.follow()
        self.rotate("two")
        self.follow()
        self.rotate("three")
        self.follow()
        self.assert_keys("two", "three")

    def test_no_grace_refuses_at_once_even_where_the_clock_is_behind(self) -> None:
        self.follow()
        self.rotate("two")
        self.aws.grace = 0
        self.now -= 60
        self.follow()
        self.assert_keys("two")

    def test_a_clock_that_jumps_moves_the_end_of_a_grace_and_nothing_else(self) -> None:
        self.rotate("two")
        day = 86_400.0
        for jump, honoured in ((20.0, ["one", "two"]), (day, ["two"]), (-day, ["one", "two"]), (30.0, ["one", "two"])):
            self.now = NOW + jump
            self.follow()
            self.assert_keys(*honoured)
            self.assertIsNone(self.end("edge", "two"))

    def test_the_grace_can_be_cut_off(self) -> None:
        self.rotate("two")
        self.follow()
        self.assert_keys("one", "two")
        self.aws.grace = 0
        self.follow()
        self.assert_keys("two")

    def test_the_door_takes_what_leaves_the_edge_a_little_longer(self) -> None:
        self.follow()
        self.rotate("two")
        self.aws.grace = 0
        self.follow()
        self.assertEqual(self.names("door"), {digest(key("one")), digest(key("two"))})
        self.now += DOOR_LINGERS_SECONDS
        self.follow()
        self.assertEqual(self.names("door"), {digest(key("two"))})

    def test_a_new_key_is_in_the_door_before_it_is_at_the_edge(self) -> None:
        written = []
        original = digests_module.replace

        def replace(path: Path, *rest) -> None:
            written.append(path.parent.name)
            original(path, *rest)

        with mock.patch.object(digests_module, "replace", replace):
            self.follow()
        self.assertEqual(written, ["door", "edge"])

    def test_clients_come_and_go_with_the_index(self) -> None:
        self.aws.clients["search"] = "arn:search"
        self.aws.put("arn:search", key("search"), NOW)
        self.follow()
        self.assert_keys("one", "search")
        del self.aws.clients["search"]
        self.follow()
        self.assert_keys("one")


class Outages(AgentTest):
    AWAY = EndpointConnectionError(endpoint_url="https://secretsmanager")

    def test_the_last_keys_stand_and_it_is_said_once(self) -> None:
        self.follow()
        self.aws.failing["all"] = self.AWAY
        self.assertFalse(self.follow(expect_warning=True))
        self.assertTrue(self.agent.troubles)
        self.follow()
        self.assert_keys("one")
        self.aws.failing.clear()
        self.assertTrue(self.follow(expect_warning=True))
        self.assertIn("well again", "\n".join(self.lines))
        self.assertFalse(self.agent.troubles)

    def test_the_last_keys_stand_across_a_restart(self) -> None:
        self.follow()
        self.aws.failing["all"] = self.AWAY
        self.restart()
        self.assertTrue(self.agent.ready)
        self.follow(expect_warning=True)
        self.assert_keys("one")

    def test_the_grace_ends_without_secrets_manager(self) -> None:
        self.rotate("two")
        self.follow()
        self.aws.failing["arn:default"] = self.AWAY
        self.follow(expect_warning=True)
        self.now += 3600
        self.follow()
        self.assert_keys("two")

    def test_a_boot_without_aws_refuses(self) -> None:
        self.aws.failing["all"] = self.AWAY
        for _ in range(10):
            self.agent.follow()
        self.assertFalse((self.folder / "keys/loaded").exists())
        self.assertFalse(self.agent.ready)

    def test_keys_are_followed_while_only_the_index_is_away(self) -> None:
        self.follow()
        self.aws.failing["index"] = client_error("InternalError", 500)
        self.rotate("two")
        self.assertTrue(self.follow(expect_warning=True))
        self.assert_keys("one", "two")

    def test_one_bad_client_leaves_the_others_alone(self) -> None:
        self.aws.clients |= {"bad": "arn:bad", "search": "arn:search"}
        self.aws.put("arn:bad", key("bad"), NOW)
        self.aws.put("arn:search", key("search"), NOW)
        self.follow()
        self.aws.failing["arn:bad"] = client_error("AccessDeniedException")
        self.rotate("new", "arn:search")
        self.assertTrue(self.follow(expect_warning=True))
        self.assertIn("client bad", "\n".join(self.lines))
        self.assert_keys("one", "bad", "search", "new")

    def test_a_bad_client_keeps_no_one_waiting_for_long(self) -> None:
        self.aws.clients["bad"] = "arn:bad"
        self.aws.failing["arn:bad"] = client_error("AccessDeniedException")
        self.follow(expect_warning=True)
        self.assertFalse(self.agent.ready)
        self.follow()
        self.follow()
        self.assertTrue(self.agent.ready)

    def test_a_bad_client_keeps_its_key_across_a_restart(self) -> None:
        self.aws.clients["bad"] = "arn:bad"
        self.aws.put("arn:bad", key("bad"), NOW)
        self.follow()
        self.aws.failing["arn:bad"] = client_error("AccessDeniedException")
        self.restart()
        self.follow(expect_warning=True)
        self.assert_keys("one", "bad")

    def test_the_keys_of_a_deleted_secret_go_after_some_polls(self) -> None:
        self.aws.clients["gone"] = "arn:gone"
        self.aws.put("arn:gone", key("gone"), NOW)
        self.follow()
        self.aws.failing["arn:gone"] = client_error("ResourceNotFoundException")
        self.follow(expect_warning=True)
        self.assert_keys("one", "gone")
        for _ in range(GONE_POLLS):
            self.agent.follow()
        self.assert_keys("one")

    def test_back_off(self) -> None:
        backoff = Backoff(5)
        self.assertEqual(backoff.after(True), 5)
        waits = [backoff.after(False) for _ in range(8)]
        self.assertTrue(all(2.5 <= wait <= 60 for wait in waits), waits)
        self.assertGreaterEqual(waits[-1], 30)
        self.assertEqual(backoff.after(True), 5)

    def test_what_an_outage_is(self) -> None:
        self.assertTrue(is_outage(self.AWAY))
        self.assertTrue(is_outage(client_error("InternalServiceError", 500)))
        self.assertTrue(is_outage(client_error("ThrottlingException")))
        self.assertFalse(is_outage(client_error("AccessDeniedException")))
        self.assertEqual(describe(client_error("X")), "ListSecretVersionIds: X: no")


class Values(AgentTest):
    def test_what_is_no_key_is_refused_by_client_name(self) -> None:
        for value in ("", "short", "x" * 513, f"{key('a')} ", f"{key('a')}\n", key("é")):
            with self.subTest(value=value), self.assertRaises(ValueError) as caught:
                key_digest(value)
            self.assertNotIn(SENTINEL, str(caught.exception))

    def test_nonsense_put_by_hand_is_refused_and_the_previous_key_has_its_grace(self) -> None:
        self.follow()
        self.aws.put("arn:default", "nonsense", self.now)
        self.follow(expect_warning=True)
        self.assertIn("client default AWSCURRENT", self.lines[-1])
        self.assertNotIn("nonsense", self.lines[-1])
        self.assertEqual(self.end("edge", "one"), self.now + 3600)
        for _ in range(3):
            self.follow()
        self.assertEqual(self.aws.values_read.count("arn:default-1"), 1)
        self.rotate("two")
        self.follow(expect_warning=True)
        self.assert_keys("two")

    def test_the_index(self) -> None:
        good = {"version": 1, "keyGraceSeconds": 5, "clients": {"a": "arn"}, "tls": "arn"}
        self.assertEqual(parse_index(json.dumps(good).encode()), Index(5.0, {"a": "arn"}, "arn"))
        for change in (
            {"version": 2},
            {"keyGraceSeconds": -1},
            {"keyGraceSeconds": "5"},
            {"keyGraceSeconds": True},
            {"clients": []},
            {"clients": {"../a": "arn"}},
            {"clients": {"a": None}},
            {"tls": None},
        ):
            with self.subTest(change), self.assertRaises(ValueError):
                parse_index(json.dumps(good | change).encode())
        for body in (b"", b"[]", b"null", b"\xff"):
            with self.subTest(body), self.assertRaises(ValueError):
                parse_index(body)


class Files(AgentTest):
    def test_broken_and_strange_files_are_put_right(self) -> None:
        self.follow()
        keys = self.folder / "keys"
        name = digest(key("one"))
        (keys / "edge" / name).write_bytes(b'{"client": "def\xff')
        (keys / "door" / name).write_text("")
        (keys / "edge" / ("0" * 64)).write_text('{"client": "stranger", "notAfter": null}')
        (keys / "edge" / ".x.partial").write_text("")
        (keys / "edge" / "folder").mkdir()
        self.follow()
        self.assert_keys("one")
        self.assertIsNone(self.end("edge", "one"))
        self.assertIsNone(self.end("door", "one"))

    def test_a_broken_file_costs_nothing_across_a_restart_without_aws(self) -> None:
        self.follow()
        (self.folder / "keys/edge" / digest(key("one"))).write_text("{")
        self.aws.failing["all"] = Outages.AWAY
        self.restart()
        self.follow(expect_warning=True)
        self.assert_keys("one")

    def test_a_full_tmpfs_is_said_and_revocation_goes_on(self) -> None:
        self.rotate("two")
        self.follow()
        self.rotate("three")
        with mock.patch.object(digests_module, "replace", side_effect=OSError(errno.ENOSPC, "No space left on device")):
            self.assertTrue(self.follow(expect_warning=True))
            self.assertIn("No space left on device", self.lines[-1])
            self.assert_keys("two")
        self.follow(expect_warning=True)
        self.assert_keys("two", "three")

    def test_killed_at_any_write_it_leaves_whole_files_and_no_key_at_the_edge_alone(self) -> None:
        class Killed(BaseException):
            pass

        original = os.replace
        for survived in range(12):
            self.rotate(f"n{survived}")
            count = 0

            def replace(*arguments) -> None:
                nonlocal count
                if count == survived % 4:
                    raise Killed
                count += 1
                original(*arguments)

            with mock.patch.object(os, "replace", replace):
                try:
                    self.agent.follow()
                except Killed:
                    pass
            for path in (self.folder / "keys/edge").glob("[0-9a-f]*"):
                json.loads(path.read_text())
                self.assertTrue((self.folder / "keys/door" / path.name).exists())
            self.restart()
            self.agent.follow()
            self.assertIn(digest(key(f"n{survived}")), self.names("edge"))

    def test_no_key_is_in_any_file_and_no_file_is_open_to_others(self) -> None:
        self.rotate("two")
        self.follow()
        for path in (self.folder / "keys").rglob("*"):
            if path.is_file():
                self.assertNotIn(SENTINEL, path.read_text())
        self.assertEqual((self.folder / "keys/edge" / digest(key("two"))).stat().st_mode & 0o777, 0o640)
        self.assertEqual((self.folder / "keys/edge").stat().st_mode & 0o777, 0o750)

    def test_the_same_state_writes_nothing(self) -> None:
        self.follow()
        before = {path: path.stat().st_ino for path in (self.folder / "keys").rglob("*")}
        self.follow()
        self.assertEqual(before, {path: path.stat().st_ino for path in (self.folder / "keys").rglob("*")})

    def test_entries_without_an_end_sort_out_from_those_with_one(self) -> None:
        self.assertEqual(digests_module.parse_entry(Entry("a", 1.5).text()), Entry("a", 1.5))
        for text in ("", "[]", "{}", '{"client": 1, "notAfter": null}', '{"client": "a", "notAfter": "x"}'):
            with self.subTest(text), self.assertRaises(ValueError):
                digests_module.parse_entry(text)


class Certificates(AgentTest):
    def renew(self, secret: str) -> None:
        self.aws.put("arn:tls", secret, self.now)
        self.restart()  # asks for the certificate at its first pass

    def test_written_for_root_alone_and_reloaded_once(self) -> None:
        self.follow()
        self.follow()
        self.assertEqual(self.reloads, 1)
        self.assertEqual((self.folder / "tls").stat().st_mode & 0o777, 0o700)
        self.assertEqual((self.folder / "tls/key.pem").stat().st_mode & 0o777, 0o600)
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            self.folder / "tls/certificate.pem", self.folder / "tls/key.pem"
        )

    def test_a_restart_of_the_agent_reloads_nothing(self) -> None:
        self.follow()
        self.restart()
        self.follow()
        self.assertEqual(self.reloads, 1)

    def test_a_renewal_is_noticed_within_twelve_polls(self) -> None:
        self.follow()
        self.aws.put("arn:tls", pair("second"), self.now)
        for _ in range(12):
            self.follow()
        self.assertEqual(self.reloads, 2)
        self.assertEqual((self.folder / "tls/key.pem").read_text(), json.loads(pair("second"))["privateKey"])
        self.assertEqual(len(list((self.folder / "tls").glob("pair-*"))), 1)

    def test_a_failed_reload_is_tried_again_by_the_next_process_too(self) -> None:
        self.follow()
        failing = Certificate(self.folder / "tls", mock.Mock(side_effect=subprocess.CalledProcessError(1, "systemctl")))
        with self.assertRaises(subprocess.CalledProcessError):
            failing.follow(pair("second"))
        self.renew(pair("second"))
        self.follow()
        self.assertEqual(self.reloads, 2)

    def test_what_nginx_could_not_load_is_refused_and_the_last_pair_stands(self) -> None:
        self.follow()
        before = (self.folder / "tls/key.pem").read_text()
        first, second = json.loads(pair("first")), json.loads(pair("second"))
        mixed = json.dumps({"certificate": first["certificate"], "privateKey": second["privateKey"]})
        for secret in (
            mixed,
            "{}",
            "[]",
            '{"certificate": 1, "privateKey": 2}',
            '{"certificate": "a", "privateKey": "b"}',
        ):
            with self.subTest(secret[:30]):
                self.renew(secret)
                self.follow(expect_warning=True)
                self.assertNotIn("BEGIN", self.lines[-1])
                self.assertEqual((self.folder / "tls/key.pem").read_text(), before)
                self.assertTrue(self.agent.ready)
        self.assertEqual(self.reloads, 1)


PAIRS: dict[str, str] = {}


def pair(name: str) -> str:
    """The certificate's secret: a self-signed certificate and its key."""
    if name not in PAIRS:
        with tempfile.TemporaryDirectory() as folder:
            command = (
                "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout k -out c -subj"
            )
            subprocess.run([*command.split(), f"/CN={name}"], cwd=folder, check=True, capture_output=True)
            certificate, private_key = (Path(folder, file).read_text() for file in ("c", "k"))
        PAIRS[name] = json.dumps({"certificate": certificate, "privateKey": private_key})
    return PAIRS[name]


if __name__ == "__main__":
    logging.disable(logging.NOTSET)
    unittest.main()
