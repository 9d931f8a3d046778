"""The real server on a real socket, over services that only remember."""

import stat
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from csi_zfs.domain.errors import InUseError, NotFoundError
from csi_zfs.domain.ids import VolumeId
from csi_zfs.domain.model import Volume
from csi_zfs.rpc.generated import csi_pb2, csi_pb2_grpc
from csi_zfs.rpc.hosting import MAX_MESSAGE_BYTES
from csi_zfs.rpc.server import CsiServer
from csi_zfs.rpc.socket_file import SocketInUseError, SocketPathError
from csi_zfs.rpc.status import MAX_DETAILS_BYTES
from tests.support.served import new_server, serve
from tests.support.services import VOLUME_ID, RecordingServices, RecordingVolumes
from tests.unit.rpc import examples

TIMEOUT_S = 20
KUBELET_DIR = Path(examples.KUBELET_DIR)
GET = csi_pb2.ControllerGetVolumeRequest(volume_id=str(VOLUME_ID))
GET_NAME = "/csi.v1.Controller/ControllerGetVolume"
AUTHORITIES = ["localhost", "/var/lib/kubelet/plugins/csi.sock", "%2Fcsi%2Fcsi.sock", "a.b:1"]


class WaitingVolumes(RecordingVolumes):
    """Every look-up waits until the test lets it go on."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = threading.Semaphore(0)
        self.go_on = threading.Event()

    def get(self, volume_id: VolumeId) -> Volume:
        volume = super().get(volume_id)
        self.inside.release()
        assert self.go_on.wait(TIMEOUT_S)
        return volume


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """Somewhere short: the path of a socket has 107 bytes."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory) / "csi.sock"


@pytest.fixture
def recording() -> RecordingServices:
    return RecordingServices()


@contextmanager
def serving(
    socket_path: Path, recording: RecordingServices, *, thread_count: int = 4
) -> Iterator[CsiServer]:
    server = new_server(recording.services.identity, socket_path, thread_count=thread_count)
    server.start()
    serve(server, recording.services, KUBELET_DIR)
    try:
        yield server
    finally:
        server.stop(grace_s=0)


@pytest.fixture
def server(socket_path: Path, recording: RecordingServices) -> Iterator[CsiServer]:
    with serving(socket_path, recording) as server:
        yield server


@contextmanager
def connected(socket_path: Path, *, authority: str = "localhost") -> Iterator[grpc.Channel]:
    options = (("grpc.default_authority", authority), ("grpc.use_local_subchannel_pool", 1))
    with grpc.insecure_channel(f"unix:{socket_path}", options=options) as channel:
        yield channel


@pytest.fixture
def channel(server: CsiServer, socket_path: Path) -> Iterator[grpc.Channel]:
    with connected(socket_path) as channel:
        yield channel


def probe(channel: grpc.Channel) -> bool:
    stub = csi_pb2_grpc.IdentityStub(channel)
    return stub.Probe(csi_pb2.ProbeRequest(), timeout=TIMEOUT_S).ready.value


def refusal(call: "grpc.Future[csi_pb2.ControllerGetVolumeResponse]") -> grpc.StatusCode:
    error = call.exception(TIMEOUT_S)
    assert isinstance(error, grpc.RpcError)
    return error.code()


def test_server_answers_at_a_socket_for_root_alone(
    channel: grpc.Channel, socket_path: Path
) -> None:
    """rules.md C9."""
    assert probe(channel)
    assert stat.S_IMODE(socket_path.lstat().st_mode) == 0o600


def test_server_says_who_it_is_before_its_pools_are_read(
    socket_path: Path, recording: RecordingServices
) -> None:
    """rules.md B9: GetPluginInfo has one second; the rest is tried again, and then served."""
    server = new_server(recording.services.identity, socket_path)
    server.start()
    try:
        with connected(socket_path) as channel:
            stub = csi_pb2_grpc.IdentityStub(channel)
            info = stub.GetPluginInfo(csi_pb2.GetPluginInfoRequest(), timeout=TIMEOUT_S)
            assert info.name == recording.services.identity.driver_name
            assert stub.GetPluginCapabilities(csi_pb2.GetPluginCapabilitiesRequest()).capabilities
            assert not probe(channel)
            get = csi_pb2_grpc.ControllerStub(channel).ControllerGetVolume
            assert refusal(get.future(GET, timeout=TIMEOUT_S)) is grpc.StatusCode.UNAVAILABLE
            assert recording.calls == []
            serve(server, recording.services, KUBELET_DIR)
            assert probe(channel)
            assert get(GET, timeout=TIMEOUT_S).volume.volume_id == str(VOLUME_ID)
    finally:
        server.stop(grace_s=0)


@pytest.mark.parametrize("authority", AUTHORITIES)
def test_server_takes_any_authority(server: CsiServer, socket_path: Path, authority: str) -> None:
    """rules.md D: older clients send the path."""
    with connected(socket_path, authority=authority) as channel:
        assert probe(channel)


def test_server_does_not_implement_what_it_does_not_advertise(channel: grpc.Channel) -> None:
    stub = csi_pb2_grpc.ControllerStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.ControllerPublishVolume(csi_pb2.ControllerPublishVolumeRequest(), timeout=TIMEOUT_S)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_failure_arrives_as_status_with_all_its_words(
    channel: grpc.Channel, recording: RecordingServices
) -> None:
    words = "ü\n%" * (MAX_DETAILS_BYTES // 4)
    recording.fail_with(NotFoundError(words))
    with pytest.raises(grpc.RpcError) as caught:
        csi_pb2_grpc.ControllerStub(channel).ControllerGetVolume(GET, timeout=TIMEOUT_S)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.NOT_FOUND, words)


def test_bytes_that_are_no_message_do_not_stop_the_server(channel: grpc.Channel) -> None:
    """rules.md B8."""
    raw: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(GET_NAME)
    for data in (b"\xff" * 100, b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x01\xff"):
        with pytest.raises(grpc.RpcError) as caught:
            raw(data, timeout=TIMEOUT_S)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert probe(channel)


def test_message_beyond_the_limit_reaches_no_service(
    channel: grpc.Channel, recording: RecordingServices
) -> None:
    """rules.md C9."""
    request = examples.create_volume()
    request.parameters["k"] = "v" * MAX_MESSAGE_BYTES
    with pytest.raises(grpc.RpcError):
        csi_pb2_grpc.ControllerStub(channel).CreateVolume(request, timeout=TIMEOUT_S)
    assert recording.calls == []
    assert probe(channel)


def test_calls_beyond_the_threads_wait_and_are_never_refused(
    socket_path: Path, recording: RecordingServices
) -> None:
    """rules.md B10: RESOURCE_EXHAUSTED would be final."""
    volumes = recording.volumes = WaitingVolumes()
    with serving(socket_path, recording, thread_count=2), connected(socket_path) as channel:
        stub = csi_pb2_grpc.ControllerStub(channel)
        calls = [stub.ControllerGetVolume.future(GET, timeout=TIMEOUT_S) for _ in range(64)]
        assert volumes.inside.acquire(timeout=TIMEOUT_S)
        volumes.go_on.set()
        assert {call.result().volume.volume_id for call in calls} == {str(VOLUME_ID)}


def test_probe_is_answered_while_all_other_threads_are_busy(
    socket_path: Path, recording: RecordingServices
) -> None:
    """rules.md B9."""
    volumes = recording.volumes = WaitingVolumes()
    with serving(socket_path, recording, thread_count=1), connected(socket_path) as channel:
        stub = csi_pb2_grpc.ControllerStub(channel)
        call = stub.ControllerGetVolume.future(GET, timeout=TIMEOUT_S)
        assert volumes.inside.acquire(timeout=TIMEOUT_S)
        assert probe(channel)
        volumes.go_on.set()
        call.result()


def test_call_that_expired_while_it_waited_for_a_thread_does_no_work(
    socket_path: Path, recording: RecordingServices
) -> None:
    volumes = recording.volumes = WaitingVolumes()
    with serving(socket_path, recording, thread_count=1), connected(socket_path) as channel:
        stub = csi_pb2_grpc.ControllerStub(channel)
        first = stub.ControllerGetVolume.future(GET, timeout=TIMEOUT_S)
        assert volumes.inside.acquire(timeout=TIMEOUT_S)
        late = stub.ControllerGetVolume.future(GET, timeout=0.01)
        assert refusal(late) is grpc.StatusCode.DEADLINE_EXCEEDED
        volumes.go_on.set()
        first.result()
        stub.ControllerGetVolume(GET, timeout=TIMEOUT_S)
    assert len(recording.calls) == 2


def test_call_without_deadline_is_answered(channel: grpc.Channel) -> None:
    stub = csi_pb2_grpc.ControllerStub(channel)
    assert stub.ControllerGetVolume(GET).volume.volume_id == str(VOLUME_ID)


def test_stop_lets_a_running_call_end_and_removes_the_socket(
    socket_path: Path, recording: RecordingServices
) -> None:
    volumes = recording.volumes = WaitingVolumes()
    with serving(socket_path, recording) as server, connected(socket_path) as channel:
        stub = csi_pb2_grpc.ControllerStub(channel)
        call = stub.ControllerGetVolume.future(GET, timeout=TIMEOUT_S)
        assert volumes.inside.acquire(timeout=TIMEOUT_S)
        with ThreadPoolExecutor(1) as pool:
            stopping = pool.submit(server.stop, grace_s=TIMEOUT_S)
            volumes.go_on.set()
            assert stopping.result(TIMEOUT_S) is True
        assert call.result().volume.volume_id == str(VOLUME_ID)
    assert not socket_path.exists()


def test_server_that_is_closed_lets_a_running_call_end_and_takes_no_other(
    socket_path: Path, recording: RecordingServices
) -> None:
    """A node stops at its socket and at its agents' port at once."""
    volumes = recording.volumes = WaitingVolumes()
    with serving(socket_path, recording) as server, connected(socket_path) as channel:
        stub = csi_pb2_grpc.ControllerStub(channel)
        call = stub.ControllerGetVolume.future(GET, timeout=TIMEOUT_S)
        assert volumes.inside.acquire(timeout=TIMEOUT_S)
        server.close(grace_s=TIMEOUT_S)
        with connected(socket_path) as later:
            get = csi_pb2_grpc.ControllerStub(later).ControllerGetVolume
            assert refusal(get.future(GET, timeout=TIMEOUT_S)) is grpc.StatusCode.UNAVAILABLE
        volumes.go_on.set()
        assert call.result().volume.volume_id == str(VOLUME_ID)
        assert server.stop(grace_s=TIMEOUT_S) is True


def test_stop_tells_of_a_call_that_does_not_end(
    socket_path: Path, recording: RecordingServices
) -> None:
    volumes = recording.volumes = WaitingVolumes()
    with serving(socket_path, recording) as server, connected(socket_path) as channel:
        stub = csi_pb2_grpc.ControllerStub(channel)
        call = stub.ControllerGetVolume.future(GET, timeout=TIMEOUT_S)
        assert volumes.inside.acquire(timeout=TIMEOUT_S)
        assert server.stop(grace_s=0) is False
        assert refusal(call) in {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}
        volumes.go_on.set()
    assert not socket_path.exists()


def test_start_at_the_socket_of_a_living_server_is_refused_and_harms_it_not(
    channel: grpc.Channel, socket_path: Path, recording: RecordingServices
) -> None:
    second = new_server(recording.services.identity, socket_path)
    with pytest.raises(SocketInUseError):
        second.start()
    second.stop(grace_s=0)
    assert probe(channel)
    with connected(socket_path) as later:
        assert probe(later)


def test_of_several_servers_started_at_once_one_wins(
    socket_path: Path, recording: RecordingServices
) -> None:
    servers = [new_server(recording.services.identity, socket_path) for _ in range(8)]
    for server in servers:
        serve(server, recording.services, KUBELET_DIR)
    with ThreadPoolExecutor(len(servers)) as pool:
        starts = [pool.submit(server.start) for server in servers]
        wait(starts)
    errors = [start.exception() for start in starts]
    assert errors.count(None) == 1
    assert all(error is None or isinstance(error, InUseError) for error in errors)
    with connected(socket_path) as channel:
        assert probe(channel)
    for server in servers:
        server.stop(grace_s=0)


def test_server_starts_again_where_one_was_stopped(
    socket_path: Path, recording: RecordingServices
) -> None:
    for _ in range(2):
        with serving(socket_path, recording), connected(socket_path) as channel:
            assert probe(channel)


def test_start_without_a_place_for_the_socket_says_so(recording: RecordingServices) -> None:
    server = new_server(recording.services.identity, Path("/proc/missing/csi.sock"))
    with pytest.raises(SocketPathError):
        server.start()
    server.stop(grace_s=0)


def test_start_that_cannot_bind_lets_others_claim_the_path(
    socket_path: Path, recording: RecordingServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = new_server(recording.services.identity, socket_path)
    monkeypatch.setattr("grpc._server._add_insecure_port", fail_to_bind)
    with pytest.raises(SocketPathError, match="no port today"):
        server.start()
    monkeypatch.undo()
    with serving(socket_path, recording), connected(socket_path) as channel:
        assert probe(channel)


def fail_to_bind(*_arguments: object) -> int:
    raise RuntimeError("no port today")
