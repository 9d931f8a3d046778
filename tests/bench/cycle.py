"""A cycle of calls that makes volumes, snapshots and copies and deletes all of them again.

Whoever does the work - a server by gRPC or a bare loop - does as many of the same steps, so that
they can take turns on a machine whose speed changes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from tests.bench import messages
from tests.bench.bare import BareLoop, timed
from tests.bench.figures import Batch, Series
from tests.bench.workbench import Workbench

CREATE = "CreateVolume"
SNAPSHOT = "CreateSnapshot"
CLONE_SNAPSHOT = "clone of a snapshot"
CLONE_VOLUME = "clone of a volume"
DELETE_SNAPSHOT = "DeleteSnapshot"
DELETE = "DeleteVolume"
STEPS = (CREATE, SNAPSHOT, CLONE_SNAPSHOT, CLONE_VOLUME, DELETE_SNAPSHOT, DELETE)

# A batch for each step, in their order.
Cycle = Iterator[Batch]
Worker = Callable[[], Cycle]
Measured = Mapping[str, Mapping[str, Series]]


class GrpcCycle:
    """The cycle as calls to a server."""

    def __init__(self, bench: Workbench, socket_path: Path, *, clients: int) -> None:
        """Make the calls to the server at this socket, so many at a time."""
        self._bench = bench
        self._socket_path = socket_path
        self._clients = clients

    def __call__(self) -> Cycle:
        """Run the cycle once."""
        volume_ids, batch = self._create(messages.new_volumes(self._names()))
        yield batch
        requests = messages.new_snapshots(volume_ids, self._names())
        answers, batch = self._run(messages.CREATE_SNAPSHOT, requests)
        snapshot_ids = messages.snapshot_ids_in(answers)
        yield batch
        clone_ids, batch = self._create(messages.copies_of_snapshots(snapshot_ids, self._names()))
        yield batch
        copy_ids, batch = self._create(messages.copies_of_volumes(volume_ids, self._names()))
        yield batch
        yield self._run(messages.DELETE_SNAPSHOT, messages.snapshots_to_delete(snapshot_ids))[1]
        every_id = volume_ids + clone_ids + copy_ids
        yield self._run(messages.DELETE_VOLUME, messages.volumes_to_delete(every_id))[1]

    def _names(self) -> list[str]:
        return self._bench.names(self._bench.amount.batch)

    def _create(self, requests: Sequence[bytes]) -> tuple[list[str], Batch]:
        answers, batch = self._run(messages.CREATE_VOLUME, requests)
        return messages.volume_ids_in(answers), batch

    def _run(self, method: str, requests: Sequence[bytes]) -> tuple[Sequence[bytes], Batch]:
        done = self._bench.load.run(self._socket_path, method, requests, clients=self._clients)
        return done.answers, done.batch


class BareCycle:
    """The cycle as bare system calls."""

    def __init__(self, bench: Workbench, bare: BareLoop) -> None:
        """Let `bare` do it."""
        self._bench = bench
        self._bare = bare

    def __call__(self) -> Cycle:
        """Run the cycle once."""
        bare, count = self._bare, self._bench.amount.batch
        volumes, snapshots, clones, copies = (self._bench.names(count) for _ in range(4))
        sources = list(zip(volumes, snapshots, strict=True))
        yield timed(partial(bare.create, volume) for volume in volumes)
        yield timed(partial(bare.snapshot, *source) for source in sources)
        yield timed(
            partial(bare.clone_snapshot, *source, clone)
            for source, clone in zip(sources, clones, strict=True)
        )
        yield timed(
            partial(bare.clone_volume, volume, copy)
            for volume, copy in zip(volumes, copies, strict=True)
        )
        yield timed(partial(bare.delete_snapshot, *source) for source in sources)
        yield timed(partial(bare.delete, volume) for volume in volumes + clones + copies)


def in_turns(
    workers: Mapping[str, Worker], rounds: int, steps: Iterable[str] = STEPS
) -> dict[str, dict[str, Series]]:
    """Let the workers take turns at every step of every round; the first round only warms up."""
    names = list(steps)
    found = {worker: {step: Series() for step in names} for worker in workers}
    for number in range(rounds + 1):
        cycles = {worker: run() for worker, run in workers.items()}
        for step in names:
            for worker, cycle in cycles.items():
                batch = next(cycle)
                if number:
                    found[worker][step].add(batch)
    return found
