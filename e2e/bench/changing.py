"""Changing a volume, which needs `zfs set`, beside that command alone."""

from functools import partial

from csi_zfs.domain.sizes import MIB
from csi_zfs.rpc.generated import csi_pb2
from e2e.bench.stand import Stand
from e2e.bench.ways import Commands
from tests.bench import messages
from tests.bench.bare import timed
from tests.bench.figures import Figure, Series, Target
from tests.bench.rendering import milliseconds
from tests.support.commands import run

_MODIFY = "/csi.v1.Controller/ControllerModifyVolume"
_EXPAND = "/csi.v1.Controller/ControllerExpandVolume"
_TARGET = Target(1.3)


def measure(stand: Stand) -> list[Figure]:
    """Both calls, in turns with the command."""
    socket_path = stand.driver_with(stand.amount.few)
    (volume_id,) = messages.volume_ids_in(
        stand.load.run(
            socket_path, messages.CREATE_VOLUME, messages.new_volumes(stand.names(1))
        ).answers
    )
    zvol = f"{stand.new_home('changed')}/zvol"
    Commands().create(zvol)
    steps = {_MODIFY: _compression, _EXPAND: _volsize}
    calls = {method: Series() for method in steps}
    commands = {method: Series() for method in steps}
    for number in range(2, 2 + stand.amount.rounds * stand.amount.batch):
        for method, step in steps.items():
            request, setting = step(volume_id, number)
            calls[method].add(stand.load.run(socket_path, method, [request]).batch)
            commands[method].add(timed([partial(_set, setting, zvol)]))
    return [_figure(method, calls[method], commands[method]) for method in steps]


def _set(setting: str, zvol: str) -> None:
    run("zfs", "set", setting, zvol)


def _compression(volume_id: str, number: int) -> tuple[bytes, str]:
    value = ("lz4", "zstd")[number % 2]
    request = csi_pb2.ControllerModifyVolumeRequest(
        volume_id=volume_id, mutable_parameters={"compression": value}
    )
    return request.SerializeToString(), f"compression={value}"


def _volsize(volume_id: str, number: int) -> tuple[bytes, str]:
    size_bytes = number * MIB
    request = csi_pb2.ControllerExpandVolumeRequest(
        volume_id=volume_id, capacity_range=csi_pb2.CapacityRange(required_bytes=size_bytes)
    )
    return request.SerializeToString(), f"volsize={size_bytes}"


def _figure(method: str, calls: Series, commands: Series) -> Figure:
    return Figure(
        what=method.rpartition("/")[2],
        measured=milliseconds(calls.p50_s),
        beside=f"one `zfs set` {milliseconds(commands.p50_s)}",
        ratio=calls.p50_s / commands.p50_s,
        target=_TARGET,
    )
