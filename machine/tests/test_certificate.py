"""The certificate on tmpfs: renewal, nginx's reload, and pairs that nginx could not load."""

import json
import ssl
import subprocess
from unittest import mock

import pytest
from fakes import pair
from scene import Scene

from qwen3.certificate import Certificate


def renew(scene: Scene, secret: str) -> None:
    scene.aws.put("arn:tls", secret, scene.now)
    scene.restart()  # which reads the certificate in its first pass


def test_written_for_root_only_and_reloaded_once(scene: Scene) -> None:
    scene.follow()
    scene.follow()
    assert scene.reloads == 1
    assert (scene.folder / "tls").stat().st_mode & 0o777 == 0o700
    assert (scene.folder / "tls/key.pem").stat().st_mode & 0o777 == 0o600
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
        scene.folder / "tls/certificate.pem", scene.folder / "tls/key.pem"
    )


def test_a_restart_of_the_agent_reloads_nothing(scene: Scene) -> None:
    scene.follow()
    scene.restart()
    scene.follow()
    assert scene.reloads == 1


def test_a_renewal_is_noticed_within_twelve_polls(scene: Scene) -> None:
    scene.follow()
    scene.aws.put("arn:tls", pair("second"), scene.now)
    for _ in range(12):
        scene.follow()
    assert scene.reloads == 2
    assert (scene.folder / "tls/key.pem").read_text() == json.loads(pair("second"))["privateKey"]
    assert len(list((scene.folder / "tls").glob("pair-*"))) == 1


def test_a_failed_reload_is_also_retried_by_the_next_process(scene: Scene) -> None:
    scene.follow()
    failing = Certificate(scene.folder / "tls", mock.Mock(side_effect=subprocess.CalledProcessError(1, "systemctl")))
    with pytest.raises(subprocess.CalledProcessError):
        failing.follow(pair("second"))
    renew(scene, pair("second"))
    scene.follow()
    assert scene.reloads == 2


def mixed() -> str:
    first, second = json.loads(pair("first")), json.loads(pair("second"))
    return json.dumps({"certificate": first["certificate"], "privateKey": second["privateKey"]})


@pytest.mark.parametrize(
    "secret",
    ["mixed", "{}", "[]", '{"certificate": 1, "privateKey": 2}', '{"certificate": "a", "privateKey": "b"}'],
)
def test_a_pair_that_nginx_could_not_load_is_rejected_and_the_last_one_remains(scene: Scene, secret: str) -> None:
    scene.follow()
    before = (scene.folder / "tls/key.pem").read_text()
    renew(scene, mixed() if secret == "mixed" else secret)
    scene.follow(expect_warning=True)
    assert "BEGIN" not in scene.lines[-1]
    assert (scene.folder / "tls/key.pem").read_text() == before
    assert scene.agent.ready
    assert scene.reloads == 1
