"""What the router of a cluster may ask of a node, and who passes for the router (rules.md C9)."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from csi_zfs.rpc.agent_port import SIGNATURE_KEY, AgentPort, AgentPortError
from csi_zfs.rpc.generated import agent_pb2, agent_pb2_grpc, csi_pb2, csi_pb2_grpc
from csi_zfs.rpc.interceptors import Interceptor
from csi_zfs.rpc.metrics import Metrics
from csi_zfs.rpc.roles import AGENT_PORT, agent_servicers
from csi_zfs.rpc.tls import (
    TlsDirectory,
    TlsFilesError,
    agent_name,
    client_credentials,
    controller_name,
)
from tests.support.certificates import Authority
from tests.support.services import (
    GROUP_ID,
    IDENTITY,
    SNAPSHOT_ID,
    VOLUME_ID,
    RecordingServices,
)

TIMEOUT_S = 20
HOST = "127.0.0.1"
AGENT = agent_name(IDENTITY.driver_name)
CONTROLLER = controller_name(IDENTITY.driver_name)
GET = csi_pb2.ControllerGetVolumeRequest(volume_id=str(VOLUME_ID))
FIND = agent_pb2.FindByNameRequest


@pytest.fixture(name="authority")
def fixture_authority() -> Authority:
    return Authority()


@contextmanager
def serving(recording: RecordingServices, directory: Path) -> Iterator[int]:
    port = AgentPort(IDENTITY, AGENT_PORT, interceptor=Interceptor(Metrics()), thread_count=2)
    port.serve(agent_servicers(recording.services))
    try:
        yield port.start(HOST, 0, TlsDirectory(directory))
    finally:
        port.stop(grace_s=0)


@contextmanager
def calling(port: int, directory: Path, wanted: str = AGENT) -> Iterator[grpc.Channel]:
    credentials = client_credentials(TlsDirectory(directory).read())
    options = (("grpc.ssl_target_name_override", wanted),)
    with grpc.secure_channel(f"{HOST}:{port}", credentials, options) as channel:
        yield channel


def refusal_of(channel: grpc.Channel) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        csi_pb2_grpc.ControllerStub(channel).ControllerGetVolume(GET, timeout=TIMEOUT_S)
    return caught.value


def signature_of(refusal: grpc.RpcError) -> object:
    pairs = [(datum.key, datum.value) for datum in refusal.trailing_metadata() or ()]
    return dict(pairs).get(SIGNATURE_KEY)


def test_router_is_told_who_the_agent_is_and_what_bears_a_name(
    authority: Authority, tmp_path: Path
) -> None:
    recording = RecordingServices()
    router = authority.write(tmp_path / "router", CONTROLLER)
    with (
        serving(recording, authority.write(tmp_path / "agent", AGENT)) as port,
        calling(port, router) as channel,
    ):
        stub = agent_pb2_grpc.AgentStub(channel)
        described = stub.Describe(agent_pb2.DescribeRequest(), timeout=TIMEOUT_S)
        found = {
            kind: stub.FindByName(FIND(kind=kind, name="a"), timeout=TIMEOUT_S).id
            for kind in (FIND.VOLUME, FIND.SNAPSHOT, FIND.GROUP_SNAPSHOT)
        }

    assert described.node_id == IDENTITY.node_id
    assert described.driver_name == IDENTITY.driver_name
    assert found == {
        FIND.VOLUME: str(VOLUME_ID),
        FIND.SNAPSHOT: str(SNAPSHOT_ID),
        FIND.GROUP_SNAPSHOT: str(GROUP_ID),
    }
    assert [call[1] for call in recording.named.calls] == [("a",)] * 3


def test_router_can_call_the_controller_and_nothing_that_mounts(
    authority: Authority, tmp_path: Path
) -> None:
    router = authority.write(tmp_path / "router", CONTROLLER)
    with (
        serving(RecordingServices(), authority.write(tmp_path / "agent", AGENT)) as port,
        calling(port, router) as channel,
    ):
        stub = csi_pb2_grpc.ControllerStub(channel)
        volume = stub.ControllerGetVolume(GET, timeout=TIMEOUT_S).volume
        with pytest.raises(grpc.RpcError) as caught:
            csi_pb2_grpc.NodeStub(channel).NodeGetInfo(csi_pb2.NodeGetInfoRequest())

    assert volume.volume_id == str(VOLUME_ID)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("names", [(AGENT,), ("controller.other.example.io",), ()])
def test_certificate_of_another_role_or_driver_is_refused_by_name(
    authority: Authority, tmp_path: Path, names: tuple[str, ...]
) -> None:
    """An agent's own certificate opens no other agent: one lost node is not the whole cluster."""
    recording = RecordingServices()
    peer = authority.write(tmp_path / "peer", *names)
    with (
        serving(recording, authority.write(tmp_path / "agent", AGENT)) as port,
        calling(port, peer) as channel,
    ):
        refusal = refusal_of(channel)

    assert refusal.code() is grpc.StatusCode.PERMISSION_DENIED
    assert f"for {CONTROLLER} only" in (refusal.details() or "")
    assert signature_of(refusal) == IDENTITY.node_id
    assert recording.volumes.calls == []


@pytest.mark.parametrize("case", ["another authority", "expired", "wrong name of the agent"])
def test_connection_that_nobody_vouches_for_is_none(
    authority: Authority, tmp_path: Path, case: str
) -> None:
    """What the client's own end makes up has no signature."""
    recording = RecordingServices()
    signer = Authority() if case == "another authority" else authority
    router = signer.write(tmp_path / "router", CONTROLLER, is_expired=case == "expired")
    own_name = "agent.other.example.io" if case == "wrong name of the agent" else AGENT
    with (
        serving(recording, authority.write(tmp_path / "agent", own_name)) as port,
        calling(port, router) as channel,
    ):
        refusal = refusal_of(channel)

    assert refusal.code() is grpc.StatusCode.UNAVAILABLE
    assert signature_of(refusal) is None
    assert recording.volumes.calls == []


def test_caller_without_a_certificate_gets_no_connection(
    authority: Authority, tmp_path: Path
) -> None:
    agent = authority.write(tmp_path / "agent", AGENT)
    anybody = grpc.ssl_channel_credentials((agent / "ca.crt").read_bytes())
    options = (("grpc.ssl_target_name_override", AGENT),)
    with (
        serving(RecordingServices(), agent) as port,
        grpc.secure_channel(f"{HOST}:{port}", anybody, options) as channel,
    ):
        assert refusal_of(channel).code() is grpc.StatusCode.UNAVAILABLE


def test_agent_shows_a_new_certificate_without_a_restart(
    authority: Authority, tmp_path: Path
) -> None:
    agent = authority.write(tmp_path / "agent", AGENT)
    renewed = Authority()
    router = renewed.write(tmp_path / "router", CONTROLLER)
    with serving(RecordingServices(), agent) as port:
        with calling(port, router) as channel:
            assert refusal_of(channel).code() is grpc.StatusCode.UNAVAILABLE
        renewed.write(agent, AGENT)
        with calling(port, router) as channel:
            stub = csi_pb2_grpc.ControllerStub(channel)
            answer = stub.ControllerGetVolume(GET, timeout=TIMEOUT_S, wait_for_ready=True)

    assert answer.volume.volume_id == str(VOLUME_ID)


@pytest.mark.expected_logs("cannot be read: No such file or directory: the certificate that was")
def test_agent_keeps_its_certificate_while_there_is_none(
    authority: Authority, tmp_path: Path
) -> None:
    agent = authority.write(tmp_path / "agent", AGENT)
    router = authority.write(tmp_path / "router", CONTROLLER)
    with serving(RecordingServices(), agent) as port:
        (agent / "tls.key").unlink()
        with calling(port, router) as channel:
            stub = csi_pb2_grpc.ControllerStub(channel)
            assert stub.ControllerGetVolume(GET, timeout=TIMEOUT_S).volume.volume_id


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_agent_is_reached_by_ipv6(authority: Authority, tmp_path: Path) -> None:
    agent = authority.write(tmp_path / "agent", AGENT)
    router = client_credentials(TlsDirectory(authority.write(tmp_path / "r", CONTROLLER)).read())
    port = AgentPort(IDENTITY, AGENT_PORT, interceptor=Interceptor(Metrics()), thread_count=1)
    port.serve(agent_servicers(RecordingServices().services))
    number = port.start("[::]", 0, TlsDirectory(agent))
    options = (("grpc.ssl_target_name_override", AGENT),)
    try:
        with grpc.secure_channel(f"[::1]:{number}", router, options) as channel:
            stub = csi_pb2_grpc.ControllerStub(channel)
            assert stub.ControllerGetVolume(GET, timeout=TIMEOUT_S).volume.volume_id
    finally:
        port.stop(grace_s=0)


def test_files_of_a_mounted_secret_are_of_one_moment(authority: Authority, tmp_path: Path) -> None:
    """The kubelet turns `..data`; the names beside it may be another moment's."""
    mounted = authority.write(tmp_path / "mounted", CONTROLLER)
    authority.write(mounted / "..2026", AGENT)
    (mounted / "..data").symlink_to("..2026")

    read = TlsDirectory(mounted).read()

    assert read.certificate == (mounted / "..2026" / "tls.crt").read_bytes()
    assert read.key == (mounted / "..2026" / "tls.key").read_bytes()
    (mounted / "..data").unlink()
    (mounted / "..data").symlink_to("..gone")
    with pytest.raises(TlsFilesError, match="cannot be read"):
        TlsDirectory(mounted).read()


def test_agent_without_a_certificate_does_not_start(tmp_path: Path) -> None:
    words = r"ca\.crt cannot be read: No such file"
    with pytest.raises(TlsFilesError, match=words), serving(RecordingServices(), tmp_path):
        pytest.fail("it has started")


def test_address_that_is_taken_is_told(authority: Authority, tmp_path: Path) -> None:
    agent = authority.write(tmp_path / "agent", AGENT)
    with serving(RecordingServices(), agent) as port:
        second = AgentPort(IDENTITY, AGENT_PORT, interceptor=Interceptor(Metrics()), thread_count=1)
        with pytest.raises(AgentPortError, match=f"agent_address {HOST}:{port} cannot be"):
            second.start(HOST, port, TlsDirectory(agent))
        second.stop(grace_s=0)


def test_kind_of_name_that_is_not_known_is_refused(authority: Authority, tmp_path: Path) -> None:
    router = authority.write(tmp_path / "router", CONTROLLER)
    with (
        serving(RecordingServices(), authority.write(tmp_path / "agent", AGENT)) as port,
        calling(port, router) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        agent_pb2_grpc.AgentStub(channel).FindByName(FIND(name="a"), timeout=TIMEOUT_S)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
