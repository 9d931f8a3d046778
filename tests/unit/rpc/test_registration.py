"""How the kubelet learns of the driver."""

import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from csi_zfs.rpc.generated import pluginregistration_pb2 as api
from csi_zfs.rpc.generated import pluginregistration_pb2_grpc as api_grpc
from csi_zfs.rpc.interceptors import Interceptor
from csi_zfs.rpc.metrics import Metrics
from csi_zfs.rpc.registration import Registration
from csi_zfs.rpc.socket_file import SocketInUseError, SocketPathError

TIMEOUT_S = 20
CSI_SOCKET = Path("/var/lib/kubelet/plugins/csi-zfs.io/csi.sock")


@pytest.fixture(name="directory")
def fixture_directory() -> Iterator[Path]:
    """Somewhere short: the path of a socket has 107 bytes."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


def new_registration(directory: Path, driver_name: str = "csi-zfs.io") -> Registration:
    return Registration(
        directory,
        driver_name=driver_name,
        csi_socket_path=CSI_SOCKET,
        interceptor=Interceptor(Metrics()),
    )


@pytest.fixture(name="registration")
def fixture_registration(directory: Path) -> Iterator[Registration]:
    registration = new_registration(directory)
    registration.start()
    yield registration
    registration.stop()


def stub_in(channel: grpc.Channel) -> api_grpc.RegistrationStub:
    return api_grpc.RegistrationStub(channel)


@pytest.fixture(name="channel")
def fixture_channel(directory: Path) -> Iterator[grpc.Channel]:
    socket = directory / "csi-zfs.io-reg.sock"
    options = (("grpc.default_authority", "localhost"),)
    with grpc.insecure_channel(f"unix://{socket}", options) as channel:
        yield channel


def test_driver_with_the_longest_name_is_registered(directory: Path) -> None:
    """In a directory whose path is as long as that of the kubelet's own."""
    longest = f"{'d' * 59}.org"[-63:]
    place = directory / ("p" * (len("/var/lib/kubelet/plugins_registry") - len(str(directory)) - 1))
    place.mkdir()
    registration = new_registration(place, longest)
    registration.start()
    try:
        assert stat.S_ISSOCK((place / f"{longest}-reg.sock").lstat().st_mode)
    finally:
        registration.stop()


def test_kubelet_is_told_of_the_driver_and_its_socket(
    registration: Registration, channel: grpc.Channel
) -> None:
    info = stub_in(channel).GetInfo(api.InfoRequest(), timeout=TIMEOUT_S)

    assert info == api.PluginInfo(
        type="CSIPlugin",
        name="csi-zfs.io",
        endpoint=str(CSI_SOCKET),
        supported_versions=["1.0.0"],
    )


def test_socket_is_for_root_alone_and_nothing_else_looks_like_one(
    registration: Registration, directory: Path
) -> None:
    """The kubelet takes every socket whose name has no leading dot for a plugin."""
    sockets = [path for path in directory.iterdir() if stat.S_ISSOCK(path.stat().st_mode)]

    assert [path.name for path in sockets] == ["csi-zfs.io-reg.sock"]
    assert stat.S_IMODE(sockets[0].stat().st_mode) == 0o600


def test_driver_hears_that_it_is_registered(
    registration: Registration, channel: grpc.Channel
) -> None:
    status = api.RegistrationStatus(plugin_registered=True)

    answer = stub_in(channel).NotifyRegistrationStatus(status, timeout=TIMEOUT_S)

    assert answer == api.RegistrationStatusResponse()


@pytest.mark.expected_logs("the kubelet could not register the driver: no such node")
def test_driver_tells_why_it_could_not_be_registered(
    registration: Registration, channel: grpc.Channel
) -> None:
    status = api.RegistrationStatus(plugin_registered=False, error="no such node")

    stub_in(channel).NotifyRegistrationStatus(status, timeout=TIMEOUT_S)


def test_socket_goes_with_the_driver(directory: Path) -> None:
    registration = new_registration(directory)
    registration.start()
    registration.stop()

    assert not list(directory.glob("*.sock"))


def test_second_driver_of_the_name_is_refused(
    registration: Registration, directory: Path, channel: grpc.Channel
) -> None:
    second = new_registration(directory)

    with pytest.raises(SocketInUseError):
        second.start()

    second.stop()
    assert stub_in(channel).GetInfo(api.InfoRequest(), timeout=TIMEOUT_S).name == "csi-zfs.io"


def test_directory_without_a_kubelet_is_told(directory: Path) -> None:
    """A directory that is missing below one that is there is made; no more than that."""
    registration = new_registration(directory / "missing" / "plugins_registry")

    with pytest.raises(SocketPathError, match="no socket can be made"):
        registration.start()

    registration.stop()
