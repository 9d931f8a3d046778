"""Snapshots and restores by the size of their source: the sidecars' metrics, and what users see."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from csi_zfs.domain.sizes import GIB, MIB
from e2e.cluster.bench import host_path
from e2e.cluster.bench.metrics import CREATE_SNAPSHOT, CREATE_VOLUME, Calls, Operation, calls_so_far
from e2e.cluster.bench.stand import AT_ONCE_CLASS, Stand, namespace
from e2e.cluster.bench.unthrottled import unthrottled
from e2e.cluster.bench.watching import BOUND, READY_TO_USE, Wanted, made
from e2e.cluster.kubectl import Kubectl, Object
from e2e.cluster.tests.volumes import VOLUME, claim, from_snapshot, mounted, snapshot, using
from e2e.cluster.tests.workloads import pod
from tests.bench.figures import Figure, Table, Target
from tests.bench.rendering import milliseconds

_EQUAL = Target(1.3)
_WRITE_LIMIT_S = 1800.0
# A file system needs some of its volume for itself.
_SPARE_BYTES = GIB


@dataclass(slots=True)
class Measured:
    """What copies of one source took."""

    snapshots: Calls = field(default_factory=Calls)
    restores: Calls = field(default_factory=Calls)
    ready_s: list[float] = field(default_factory=list)
    bound_s: list[float] = field(default_factory=list)


def measure(stand: Stand) -> tuple[Table, list[Figure]]:
    """Copies of a small and of a large source, in turns."""
    sizes = (stand.amount.small_bytes, stand.amount.large_bytes)
    found = {size_bytes: Measured() for size_bytes in sizes}
    with namespace(stand.cluster) as kubectl:
        for size_bytes in sizes:
            _write(kubectl, size_bytes)
        for number in range(stand.amount.copies):
            for size_bytes, measured in found.items():
                _copy(stand, kubectl, _Source(size_bytes, number), measured)
        every_s = _at_once(kubectl, sizes[0], "usual")
        with unthrottled(stand.cluster):
            fast_s = _at_once(kubectl, sizes[0], "fast")
    small, large = found.values()
    what = f"{host_path.SNAPSHOTS} snapshots at once, ready"
    return _table(found), [
        _figure("CreateSnapshot", large.snapshots, small.snapshots),
        _figure("CreateVolume from a snapshot", large.restores, small.restores),
        host_path.beside(what, every_s, host_path.SNAPSHOTS_READY_S),
        host_path.beside(f"{what}, cluster not throttled", fast_s, host_path.SNAPSHOTS_READY_S),
    ]


@dataclass(frozen=True, slots=True)
class _Source:
    """What is copied, and which copy of it this is."""

    size_bytes: int
    number: int

    @property
    def claim_name(self) -> str:
        return _claim_name(self.size_bytes)

    @property
    def copy_name(self) -> str:
        return f"{self.claim_name}-{self.number}"

    def snapshot(self) -> Object:
        return snapshot(self.copy_name, self.claim_name)

    def restore(self) -> Object:
        size = _claim_size(self.size_bytes)
        source = from_snapshot(self.copy_name)
        return claim(self.copy_name, size, source=source, storage_class=AT_ONCE_CLASS)


def _copy(stand: Stand, kubectl: Kubectl, source: _Source, measured: Measured) -> None:
    def timed(
        operation: Operation, make: Callable[[], Object], wanted: Wanted
    ) -> tuple[Calls, float]:
        before = calls_so_far(stand.release, operation)
        seconds = made(kubectl, [make()], wanted)
        return calls_so_far(stand.release, operation) - before, seconds

    calls, seconds = timed(CREATE_SNAPSHOT, source.snapshot, READY_TO_USE)
    measured.snapshots += calls
    measured.ready_s.append(seconds)
    calls, seconds = timed(CREATE_VOLUME, source.restore, BOUND)
    measured.restores += calls
    measured.bound_s.append(seconds)


def _at_once(kubectl: Kubectl, size_bytes: int, name: str) -> float:
    # Until the controller of snapshots serves them.
    made(kubectl, [snapshot(f"{name}-first", _claim_name(size_bytes))], READY_TO_USE)
    objects = [
        snapshot(f"{name}-{number}", _claim_name(size_bytes))
        for number in range(host_path.SNAPSHOTS)
    ]
    return made(kubectl, objects, READY_TO_USE)


def _write(kubectl: Kubectl, size_bytes: int) -> None:
    """A volume with one file of this size, all of it on the disk, and nobody who uses it."""
    name = _claim_name(size_bytes)
    kubectl.apply(claim(name, _claim_size(size_bytes), storage_class=AT_ONCE_CLASS))
    blocks = size_bytes // MIB
    script = f"dd if=/dev/urandom of={VOLUME}/data bs=1M count={blocks}; sync"
    spec = using(name) | {"restartPolicy": "Never"}
    made_pod = pod(name, command=("sh", "-euc", script), container=mounted(), spec=spec)
    kubectl.apply(made_pod)
    kubectl.wait_for_field(f"pod/{name}", ".status.phase", "Succeeded", limit_s=_WRITE_LIMIT_S)
    kubectl.delete(f"pod/{name}")


def _claim_name(size_bytes: int) -> str:
    return f"source-{size_bytes // MIB}"


def _claim_size(size_bytes: int) -> str:
    return f"{(size_bytes + _SPARE_BYTES) // MIB}Mi"


def _table(found: dict[int, Measured]) -> Table:
    rows = [
        (
            _size(size_bytes),
            milliseconds(measured.snapshots.mean_s),
            f"{statistics.median(measured.ready_s):.2f} s",
            milliseconds(measured.restores.mean_s),
            f"{statistics.median(measured.bound_s):.2f} s",
        )
        for size_bytes, measured in found.items()
    ]
    return Table(
        (
            *("data", "CreateSnapshot", "snapshot, applied to ready"),
            *("CreateVolume from it", "claim, applied to bound"),
        ),
        rows,
    )


def _figure(what: str, large: Calls, small: Calls) -> Figure:
    return Figure(
        what=f"{what}, much data",
        measured=milliseconds(large.mean_s),
        beside=f"little {milliseconds(small.mean_s)}",
        ratio=large.mean_s / small.mean_s,
        target=_EQUAL,
    )


def _size(size_bytes: int) -> str:
    return f"{size_bytes // GIB} GiB" if size_bytes >= GIB else f"{size_bytes // MIB} MiB"
