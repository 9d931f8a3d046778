"""The certificates that the chart makes: of one authority, for two names, kept over upgrades."""

import base64
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from csi_zfs.rpc import tls
from tests.chart.api_server import api_server
from tests.chart.cases import CASES, DEFAULT
from tests.chart.helm import NAMESPACE, Case, Manifest, Rendered, parse, render, run_helm

AGENT, CONTROLLER = "csi-zfs-agent-tls", "csi-zfs-controller-tls"


def decoded(secret: Manifest) -> dict[str, bytes]:
    return {name: base64.b64decode(text) for name, text in secret["data"].items()}


def upgraded(*secrets: Manifest, case: Case = DEFAULT) -> Rendered:
    """A render that finds these Secrets in the cluster."""
    with api_server(*secrets) as address:
        server = ("--dry-run=server", f"--kube-apiserver={address}")
        return parse(run_helm(*case.arguments, *server))


def data(rendered: Rendered) -> list[dict[str, str]]:
    return [rendered.one("Secret", name)["data"] for name in (AGENT, CONTROLLER)]


@pytest.mark.parametrize(
    ("name", "identity"), [(AGENT, "agent.csi-zfs.io"), (CONTROLLER, "controller.csi-zfs.io")]
)
def test_certificate_is_for_one_name_and_signed_by_the_authority(name: str, identity: str) -> None:
    """rules.md C9: names are checked, so each side has exactly its own."""
    files = decoded(render(DEFAULT).one("Secret", name))
    authority = x509.load_pem_x509_certificate(files["ca.crt"])
    own = x509.load_pem_x509_certificate(files["tls.crt"])
    own.verify_directly_issued_by(authority)
    names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [identity]
    assert not own.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert own.not_valid_after_utc - datetime.now(UTC) > timedelta(days=3600)
    key = load_pem_private_key(files["tls.key"], password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == own.public_key()


def test_both_know_one_authority_whose_key_is_kept_nowhere() -> None:
    rendered = render(DEFAULT)
    agent, controller = data(rendered)
    assert agent["ca.crt"] == controller["ca.crt"]
    assert agent["tls.key"] != controller["tls.key"]
    assert rendered.names("Secret") == {AGENT, CONTROLLER}
    assert all(set(files) == {"ca.crt", "tls.crt", "tls.key"} for files in (agent, controller))


def test_upgrade_keeps_both() -> None:
    before = render(DEFAULT)
    assert data(upgraded(*before.of("Secret"))) == data(before)


def test_upgrade_makes_both_anew_where_one_is_missing() -> None:
    """Nobody has the key of the authority any more, so the two go together."""
    before = render(DEFAULT)
    agent, controller = data(upgraded(before.one("Secret", AGENT)))
    assert agent["ca.crt"] == controller["ca.crt"]
    assert agent["ca.crt"] != data(before)[0]["ca.crt"]


@pytest.mark.parametrize("text", ['tls.generation="2"', 'driverName="other.example.com"'])
def test_upgrade_makes_both_anew_for_another_generation_or_driver(text: str) -> None:
    before = render(DEFAULT)
    after = upgraded(*before.of("Secret"), case=Case(sets=(text,)))
    assert not {file["tls.crt"] for file in data(after)} & {
        file["tls.crt"] for file in data(before)
    }


def test_upgrade_does_not_mix_two_authorities() -> None:
    """As after restoring one of the Secrets from a backup."""
    secrets = render(DEFAULT).of("Secret")
    others = upgraded().of("Secret")
    agent, controller = data(upgraded(secrets[0], others[1]))
    assert agent["ca.crt"] == controller["ca.crt"]
    assert agent["ca.crt"] not in {secrets[0]["data"]["ca.crt"], others[1]["data"]["ca.crt"]}


@pytest.mark.parametrize("name", CASES)
def test_every_secret_that_is_mounted_comes_from_somewhere(name: str) -> None:
    rendered = render(CASES[name])
    made = rendered.names("Secret") | {
        item["spec"]["secretName"] for item in rendered.of("Certificate")
    }
    for who, pod in rendered.pods():
        for volume in pod.get("volumes", []):
            for source in volume.get("projected", {}).get("sources", []):
                if "secret" in source:
                    assert source["secret"]["name"] in made | {"a", "c"}, who


@contextmanager
def serving(directory: Path) -> Iterator[int]:
    """A server with the driver's own TLS that answers whom it knows as the router; its port."""

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        tls.only_for(tls.controller_name("csi-zfs.io"))(context)
        return request

    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(answer)
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("Test", {"Echo": handler}),)
    )
    credentials = tls.server_credentials(tls.TlsDirectory(directory))
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


def test_router_and_agent_take_each_other_by_what_the_chart_made(tmp_path: Path) -> None:
    """rules.md C9: the driver's own TLS, over TCP, with the files of the two Secrets."""
    for name in (AGENT, CONTROLLER):
        (tmp_path / name).mkdir()
        for file, content in decoded(render(DEFAULT).one("Secret", name)).items():
            (tmp_path / name / file).write_bytes(content)
    credentials = tls.client_credentials(tls.TlsDirectory(tmp_path / CONTROLLER).read())
    options = (("grpc.ssl_target_name_override", tls.agent_name("csi-zfs.io")),)
    with (
        serving(tmp_path / AGENT) as port,
        grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel,
    ):
        echo = cast("Callable[..., bytes]", channel.unary_unary("/Test/Echo"))
        assert echo(b"hello", timeout=10) == b"hello"


def test_namespace_of_the_secrets_is_the_release_s() -> None:
    assert {secret["metadata"]["namespace"] for secret in render(DEFAULT).of("Secret")} == {
        NAMESPACE
    }
