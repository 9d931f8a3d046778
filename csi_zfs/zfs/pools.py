"""Making and opening pools: a parent dataset that says which pool it is.

<parent>            io.csi-zfs:pool_id, set locally, never the pool's GUID, which copies share
                    io.csi-zfs:served_by, who serves it, or did last
<parent>/v          all datasets of ours
<parent>/v@Served   held by who serves it
"""

import re
from contextlib import suppress
from dataclasses import dataclass, field

from csi_zfs.datasets.admission import Claim, Ledger, Policy
from csi_zfs.datasets.api import (
    DatasetExistsError,
    DatasetKind,
    DatasetNotFoundError,
    PoolUnavailableError,
    RecordCorruptError,
)
from csi_zfs.datasets.names import VOLUMES
from csi_zfs.domain.errors import InvalidRequestError
from csi_zfs.domain.ids import MAX_POOL_PARENT_BYTES, POOL_PARENT_PATTERN
from csi_zfs.system.clock import Clock, SystemClock
from csi_zfs.system.runner import Runner, SystemRunner
from csi_zfs.zfs.command import NativeProperties
from csi_zfs.zfs.datasets import LibzfsCoreDatasets
from csi_zfs.zfs.devices import ZvolDevices
from csi_zfs.zfs.engine import Engine, claim_of, new_uid
from csi_zfs.zfs.errors import translating
from csi_zfs.zfs.home import Home
from csi_zfs.zfs.keys import LineageKeys
from csi_zfs.zfs.lzc import LibzfsCore, Properties
from csi_zfs.zfs.objects import Objects
from csi_zfs.zfs.outcomes import Found, found_of
from csi_zfs.zfs.programs import source_of
from csi_zfs.zfs.recent import RecentReads
from csi_zfs.zfs.reservation import ParityVdev
from csi_zfs.zfs.serving import Lease
from csi_zfs.zfs.space import Space
from csi_zfs.zfs.vdevs import parity_vdevs

_PARENT = re.compile(POOL_PARENT_PATTERN, re.ASCII)

# Kernel values.  Snapshots have no devices, which would keep them busy.  A zvol's device shows its
# bytes alone: the host looks for no partitions in what a pod wrote.  Inherited, because to set it
# on a new zvol takes the device away again and makes another one.
_UNMOUNTED: Properties = {"canmount": 0, "mountpoint": "none"}
_OF_VOLUMES: Properties = {**_UNMOUNTED, "snapdev": 0, "volmode": 2}


class ParentNameError(InvalidRequestError):
    """The parent's name is not one of a dataset below a pool, or is too long."""


@dataclass(frozen=True, slots=True)
class Doors:
    """The doors to the machine; tests put doors here that fail or remember."""

    core: LibzfsCore
    runner: Runner = field(default_factory=SystemRunner)
    clock: Clock = field(default_factory=SystemClock)
    devices: ZvolDevices = field(default_factory=lambda: ZvolDevices(SystemClock()))


def require_parent_name(parent: str) -> str:
    """The same name; raises `ParentNameError`."""
    if _PARENT.fullmatch(parent) is None or len(parent) > MAX_POOL_PARENT_BYTES:
        raise ParentNameError(
            f"{parent[:MAX_POOL_PARENT_BYTES]!r} is not <pool>/<dataset> of at most "
            f"{MAX_POOL_PARENT_BYTES} bytes"
        )
    return parent


def create_pool(parent: str, doors: Doors) -> str:
    """Make a pool of ours below a zpool that is there; returns its id.  Safe to repeat.

    A parent that exists is taken as it is, with whatever its owner has set.

    Raises:
        ParentNameError: see it.
        PoolUnavailableError: the zpool is not imported.
    """
    require_parent_name(parent)
    _ensure_dataset(doors.core, parent, _UNMOUNTED)
    with suppress(DatasetExistsError):
        _run(doors.core, "claim", parent, pool_id=new_uid())
    _ensure_dataset(doors.core, f"{parent}/{VOLUMES}", _OF_VOLUMES)
    return str(_identified(doors.core, parent)["pool_id"])


def open_pool(
    parent: str,
    *,
    name: str,
    doors: Doors,
    thin_ratio: float = 4.0,
    reserve_percent: int = 5,
    lease: Lease | None = None,
) -> LibzfsCoreDatasets:
    """Open a pool of ours: to serve it, with a lease, or to look at it.

    Raises:
        InvalidPolicyError, ParentNameError: the options make no sense.
        PoolUnavailableError: there is none, or its zpool is not imported.
        PoolServedElsewhereError: another driver serves it, and a lease is to be taken.
    """
    policy = Policy.of(thin_ratio=thin_ratio, reserve_percent=reserve_percent)
    home = home_of(parent, name=name, core=doors.core)
    if lease is not None:
        home = lease.take(home, doors.clock)
    objects, vdevs = Objects(home), parity_vdevs(doors.runner, home.zpool_name)
    engine = Engine(
        home=home,
        objects=objects,
        policy=policy,
        runner=doors.runner,
        ledger=Ledger(policy, _claims(objects, vdevs)),
        space=Space(home),
        native=NativeProperties(home, doors.runner),
        keys=LineageKeys(home, doors.clock),
        devices=doors.devices,
        vdevs=vdevs,
        recent=RecentReads(doors.clock),
        clock=doors.clock,
    )
    return LibzfsCoreDatasets(engine)


def home_of(parent: str, *, name: str, core: LibzfsCore) -> Home:
    """Where the datasets of a pool of ours are; raises as `open_pool` does."""
    pool_id = _identified(core, require_parent_name(parent))["pool_id"]
    return Home(core, pool_name=name, parent=parent, pool_id=pool_id)


def _ensure_dataset(core: LibzfsCore, full_name: str, properties: Properties) -> None:
    with suppress(DatasetExistsError), translating(full_name):
        core.create(full_name, DatasetKind.FILESYSTEM, properties)


def _identified(core: LibzfsCore, parent: str) -> Found:
    try:
        found = _run(core, "identify", parent)
    except DatasetNotFoundError as exc:
        raise PoolUnavailableError(f"there is no {parent}: make it a pool first") from exc
    if not found.get("pool_id") or not found["has_home"]:
        raise PoolUnavailableError(f"{parent} is no pool of the driver: make it one first")
    return found


def _run(core: LibzfsCore, program: str, parent: str, **arguments: str) -> Found:
    all_arguments = {"parent": parent, "home": f"{parent}/{VOLUMES}", **arguments}
    with translating(parent):
        returned = core.run_program(parent.partition("/")[0], source_of(program), all_arguments)
        return found_of(returned, program, parent)


def _claims(objects: Objects, vdevs: tuple[ParityVdev, ...]) -> Claim:
    total = Claim()
    for entry in (*objects.datasets(), *objects.snapshots()):
        if not isinstance(entry, RecordCorruptError):
            total += claim_of(entry, vdevs)
    return total
