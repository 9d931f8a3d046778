"""A group snapshot, beside as many single snapshots by the command."""

from collections.abc import Iterable
from functools import partial

from csi_zfs.rpc.generated import csi_pb2
from e2e.bench.stand import Stand
from e2e.bench.ways import Commands
from tests.bench import messages
from tests.bench.bare import timed
from tests.bench.figures import Batch, Figure, Series, Table, Target
from tests.bench.rendering import milliseconds
from tests.support.commands import run

MEMBERS = 20
_CREATE = "/csi.v1.GroupController/CreateVolumeGroupSnapshot"
_DELETE = "/csi.v1.GroupController/DeleteVolumeGroupSnapshot"
_TARGET = Target(7.0, is_floor=True)


class Groups:
    """Takes group snapshots of the same volumes, and single ones of as many zvols."""

    def __init__(self, stand: Stand) -> None:
        """Make the volumes and the zvols."""
        self._stand = stand
        self._socket_path = stand.driver_with(stand.amount.few)
        requests = messages.new_volumes(stand.names(MEMBERS))
        made = stand.load.run(self._socket_path, messages.CREATE_VOLUME, requests)
        self._volume_ids = messages.volume_ids_in(made.answers)
        home = stand.new_home("group")
        self._zvols = [f"{home}/{name}" for name in stand.names(MEMBERS)]
        self._commands = Commands()
        for zvol in self._zvols:
            self._commands.create(zvol)

    def by_grpc(self) -> tuple[Batch, int]:
        """Take a group snapshot: how long, and in how many transaction groups; then delete it."""
        request = csi_pb2.CreateVolumeGroupSnapshotRequest(
            name=self._stand.names(1)[0], source_volume_ids=self._volume_ids
        )
        done = self._stand.load.run(self._socket_path, _CREATE, [request.SerializeToString()])
        answer = csi_pb2.CreateVolumeGroupSnapshotResponse.FromString(done.answers[0])
        group = answer.group_snapshot
        ids = [snapshot.snapshot_id for snapshot in group.snapshots]
        txgs = _txgs(self._stand.parent_with(self._stand.amount.few))
        delete = csi_pb2.DeleteVolumeGroupSnapshotRequest(
            group_snapshot_id=group.group_snapshot_id, snapshot_ids=ids
        )
        self._stand.load.run(self._socket_path, _DELETE, [delete.SerializeToString()])
        return done.batch, txgs

    def by_commands(self) -> tuple[Batch, int]:
        """The same by commands, counted as one."""
        each = timed(partial(self._commands.snapshot, zvol) for zvol in self._zvols)
        txgs = _txgs(self._zvols[0].rpartition("/")[0])
        for zvol in self._zvols:
            self._commands.destroy_snapshot(zvol)
        return Batch.in_turn([sum(each.latencies_ns)]), txgs


def measure(stand: Stand) -> tuple[Table, Figure]:
    """Both in turns."""
    groups, by_grpc, by_commands = Groups(stand), Series(), Series()
    grpc_txgs, command_txgs = set[int](), set[int]()
    for _ in range(stand.amount.rounds):
        for series, txgs, (batch, count) in (
            (by_grpc, grpc_txgs, groups.by_grpc()),
            (by_commands, command_txgs, groups.by_commands()),
        ):
            series.add(batch)
            txgs.add(count)
    table = Table(
        (f"{MEMBERS} snapshots", "p50", "transaction groups"),
        [
            ["one group snapshot", milliseconds(by_grpc.p50_s), _numbers(grpc_txgs)],
            ["single `zfs snapshot`s", milliseconds(by_commands.p50_s), _numbers(command_txgs)],
        ],
    )
    figure = Figure(
        what=f"group snapshot of {MEMBERS}, times as fast",
        measured=milliseconds(by_grpc.p50_s),
        beside=f"single `zfs snapshot`s {milliseconds(by_commands.p50_s)}",
        ratio=by_commands.p50_s / by_grpc.p50_s,
        target=_TARGET,
    )
    return table, figure


def _txgs(parent: str) -> int:
    """In how many transaction groups the snapshots below a dataset were taken."""
    listed = run("zfs", "list", "-Hp", "-r", "-t", "snapshot", "-o", "createtxg", parent)
    return len(set(listed.split()))


def _numbers(counts: Iterable[int]) -> str:
    """One number, or the smallest and the largest."""
    ordered = sorted(counts)
    return str(ordered[0]) if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}"
