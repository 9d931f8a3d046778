"""Making volumes: empty ones, copies of snapshots, copies of live volumes."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace

from csi_zfs.datasets import names
from csi_zfs.datasets.api import (
    Dataset,
    DatasetExistsError,
    DatasetKind,
    DatasetManager,
    DatasetNotFoundError,
    NewDataset,
)
from csi_zfs.datasets.keys import WrappingKey
from csi_zfs.domain.capabilities import VolumeCapability
from csi_zfs.domain.errors import IncompatibleError, InvalidRequestError, NoSpaceError
from csi_zfs.domain.model import ContentSource, CreateVolumeSpec, Volume
from csi_zfs.domain.parameters import (
    ENCRYPTION,
    VolumeParameters,
    parse_mutable_parameters,
    parse_volume_parameters,
)
from csi_zfs.domain.sizes import GRANULE_BYTES, MIB
from csi_zfs.services import records
from csi_zfs.services.catalogue import Catalogue
from csi_zfs.services.entries import VolumeEntry, entry_of_volume, volume_of
from csi_zfs.services.identity import Identity
from csi_zfs.services.keys import EncryptedDataset, VolumeKeys
from csi_zfs.services.locks import KeyedLocks
from csi_zfs.services.pools import Pools, able_pools, extents_of, on_first_with_room
from csi_zfs.services.quiescence import Quiescence
from csi_zfs.services.records import DiskFormat, VolumeRecord
from csi_zfs.services.sources import Source, Sources, blank_disk, disk_from, kind_of

# What mkfs.xfs refuses to go below; and a size at which ext4 has room for a journal and some files.
# A file system of ZFS refuses writes near its end, by as much as it has not written out yet.
MINIMUM_BYTES = {"xfs": 300 * MIB, "ext4": 16 * MIB, "zfs": 16 * MIB, "": GRANULE_BYTES}


class DifferentVolumeError(IncompatibleError):
    """The volume of this name was made with other arguments."""


class SourceOnOtherPoolError(InvalidRequestError):
    """The source is on a pool that the parameter `pool` excludes."""


class SourceEncryptionError(InvalidRequestError):
    """The class asks for a copy that is encrypted and a source that is not, or the reverse."""


class OtherTopologyError(NoSpaceError):
    """The request can only be satisfied on another node."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A CreateVolume request with everything decided that does not depend on a source or a pool."""

    spec: CreateVolumeSpec
    parameters: VolumeParameters
    leaf: str

    @property
    def capability(self) -> VolumeCapability:
        """The capability that decides what is made; all of a request agree in it."""
        return self.spec.capabilities[0]

    @property
    def dataset_name(self) -> str:
        """The dataset that will hold the volume."""
        return names.dataset_of(self.leaf)

    def new_dataset(self, disk: DiskFormat, size_bytes: int, salt: str = "") -> NewDataset:
        """What to ask of the pool; `salt` is that of its lineage, if it is to be encrypted."""
        record = VolumeRecord(
            self.spec.volume_name,
            disk,
            self.parameters.given,
            self.spec.content_source,
            salt=salt,
        )
        mutable = parse_mutable_parameters(self.spec.mutable_parameters)
        return NewDataset(
            name=self.dataset_name,
            size_bytes=size_bytes,
            kind=kind_of(disk),
            is_thick=self.parameters.is_thick,
            properties={**self.parameters.properties, **mutable},
            user_properties=records.format_volume(record),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeCreation:
    """Makes volumes.  Thread-safe.

    `observe_extents` is told in how many pieces the data of a live source lies: what a copy costs.
    """

    pools: Pools
    catalogue: Catalogue
    locks: KeyedLocks
    sources: Sources
    quiescence: Quiescence
    keys: VolumeKeys
    identity: Identity
    default_size_bytes: int
    observe_extents: Callable[[int], None]

    def create(self, spec: CreateVolumeSpec) -> Volume:
        """Make the volume, or return the equal one that is there already.  Safe to repeat; durable.

        Raises:
            DifferentVolumeError: the name is taken by a volume made with other arguments; says
                which.
            VolumeNotFoundError, SnapshotNotFoundError: the source is proved not to exist.
            OutOfRangeError: the smallest volume that would do is above the limit.
            KeyMissingError, KeyRefusedError: it is encrypted, and the Secret has not its key, or
                not that of its source.
            PoolFullError, OtherTopologyError: there is no room here; nothing was made.
            PoolAwayError: the source may be on a pool that could not be opened.
            LockTakenError: the same name, or the source, is being worked on.
        """
        plan = Plan(spec, parse_volume_parameters(spec.parameters), names.leaf_of(spec.volume_name))
        self._require_here(spec)
        with self.locks.hold(exclusive=[plan.dataset_name]):
            entry = self.catalogue.read_volume_named(plan.leaf) or self._make(plan)
            _require_same(plan, entry)
            self._require_key(plan, entry)
            return volume_of(entry)

    def _require_key(self, plan: Plan, entry: VolumeEntry) -> None:
        """Whoever gets a volume can open it, also one that is there already (rules.md A12)."""
        if entry.record.salt:
            pool = self.pools.get(entry.volume_id.pool_id)
            encrypted = EncryptedDataset(pool, entry.dataset_name, entry.record.salt)
            self.keys.require(encrypted, plan.spec.secrets)
            self.keys.forget_unused(encrypted)

    def _require_here(self, spec: CreateVolumeSpec) -> None:
        here = self.identity.topology
        if spec.requisite_topologies and here not in [
            dict(segments) for segments in spec.requisite_topologies
        ]:
            msg = f"the request allows other nodes only; this one is {self.identity.node_id}"
            raise OtherTopologyError(msg)

    def _require_source_here(self, source: ContentSource) -> None:
        if source.pool_id not in self.pools:
            # A copy may have been made on the pool before it went away.
            self.pools.require_all()
            msg = (
                f"{source} is on a pool of another node than {self.identity.node_id}: copies are"
                " made there"
            )
            raise OtherTopologyError(msg)

    def _make(self, plan: Plan) -> VolumeEntry:
        if plan.spec.content_source is None:
            return self._make_empty(plan)
        self._require_source_here(plan.spec.content_source)
        with self.sources.hold(plan.spec.content_source) as source:
            return self._make_copy(plan, source)

    def _make_empty(self, plan: Plan) -> VolumeEntry:
        pools = able_pools(
            self.pools.roomiest(plan.parameters.pool_pattern, is_thick=plan.parameters.is_thick),
            plan.capability,
            is_encrypted=bool(plan.parameters.cipher),
        )
        return self._made_before(pools, plan.dataset_name) or on_first_with_room(
            pools, lambda pool: self._create(pool, self._blank(pool, plan))
        )

    def _blank(self, pool: DatasetManager, plan: Plan) -> NewDataset:
        """An empty volume for this pool: what a volume is by default depends on it."""
        disk = blank_disk(plan.capability, pool.features)
        size_bytes = self._size_bytes(plan, disk, default_bytes=self.default_size_bytes)
        if not plan.parameters.cipher:
            return plan.new_dataset(disk, size_bytes)
        salt, key = self.keys.new(plan.spec.secrets)
        return encrypted_with(key, plan.parameters.cipher, plan.new_dataset(disk, size_bytes, salt))

    def _made_before(self, pools: Sequence[DatasetManager], name: str) -> VolumeEntry | None:
        """The volume that a call made whose answer was lost.

        One pool says "exists" by itself; of several, another one may be the roomiest by now.
        """
        for pool in pools if len(pools) > 1 else ():
            with suppress(DatasetNotFoundError, DatasetExistsError):
                return self._known(pool, _ours(pool, name))
        return None

    def _create(self, pool: DatasetManager, new: NewDataset) -> VolumeEntry:
        try:
            return self._known(pool, pool.create(new))
        except DatasetExistsError:
            return self._known(pool, _ours(pool, new.name))

    def _make_copy(self, plan: Plan, source: Source) -> VolumeEntry:
        pool = self._pool_of(source, plan)
        _require_same_encryption(plan, source)
        disk = disk_from(source, plan.capability)
        size_bytes = self._size_bytes(plan, disk, default_bytes=source.size_bytes, source=source)
        new = plan.new_dataset(disk, size_bytes, source.salt)
        if source.volume_id is not None:
            self.observe_extents(extents_of(pool, source.name))
        quiesced = self.quiescence.around([source.volume_id] if source.volume_id else [])
        try:
            with self._key_of(source, plan, new):
                return self._known(pool, pool.clone(source.name, new, quiesced=quiesced))
        except DatasetExistsError:
            return self._known(pool, _ours(pool, new.name))

    def _key_of(self, source: Source, plan: Plan, new: NewDataset) -> AbstractContextManager[None]:
        """What a copy needs of the key of its source: it fits; a larger zvol has it loaded."""
        if not source.salt:
            return nullcontext()
        pool = self.pools.get(source.pool_id)
        encrypted = EncryptedDataset(pool, source.dataset_name, source.salt)
        self.keys.require(encrypted, plan.spec.secrets)
        if new.kind is DatasetKind.FILESYSTEM or new.size_bytes == source.size_bytes:
            return nullcontext()
        return self.keys.borrowing(encrypted, plan.spec.secrets)

    def _pool_of(self, source: Source, plan: Plan) -> DatasetManager:
        pool = self.pools.get(source.pool_id)
        if pool not in self.pools.matching(plan.parameters.pool_pattern):
            msg = (
                f"the source is on pool {pool.pool_name}, which parameter pool: "
                f"{plan.parameters.pool_pattern!r} excludes: copies stay on the pool of their "
                "source"
            )
            raise SourceOnOtherPoolError(msg)
        return pool

    @staticmethod
    def _size_bytes(
        plan: Plan, disk: DiskFormat, *, default_bytes: int, source: Source | None = None
    ) -> int:
        minimum_bytes = max(MINIMUM_BYTES[disk.fs_type], source.size_bytes if source else 0)
        return plan.spec.capacity_range.choose(
            minimum_bytes=minimum_bytes, default_bytes=default_bytes
        )

    def _known(self, pool: DatasetManager, dataset: Dataset) -> VolumeEntry:
        entry = entry_of_volume(pool, dataset)
        self.catalogue.put_volume(entry)
        return entry


def encrypted_with(key: WrappingKey, cipher: str, new: NewDataset) -> NewDataset:
    """The same, with a lineage of its own."""
    return replace(new, key=key, properties={**new.properties, "encryption": cipher})


def _require_same_encryption(plan: Plan, source: Source) -> None:
    """Raise `SourceEncryptionError` where the class says that a copy is not as its source."""
    said = plan.parameters.given.get(ENCRYPTION.name, "")
    if plan.parameters.cipher and not source.salt:
        msg = f"parameter encryption: {said!r}: the source is not encrypted, nor is a copy of it"
        raise SourceEncryptionError(msg)
    if said and source.salt and not plan.parameters.cipher:
        msg = f"parameter encryption: {said!r}: the source is encrypted, and so is a copy of it"
        raise SourceEncryptionError(msg)


def _ours(pool: DatasetManager, name: str) -> Dataset:
    """What a call made whose answer was lost; raises `DatasetExistsError` for one made by hand."""
    dataset = pool.get(name)
    if not records.is_our_volume(dataset.user_properties):
        msg = f"{name} exists on pool {pool.pool_name}, and was not made by this driver"
        raise DatasetExistsError(msg)
    return dataset


def _require_same(plan: Plan, entry: VolumeEntry) -> None:
    record, spec, disk = entry.record, plan.spec, entry.record.disk
    differences = {
        "name": record.volume_name != spec.volume_name,
        "capacity": not spec.capacity_range.admits(entry.size_bytes),
        "volume_content_source": record.content_source != spec.content_source,
        "parameters": dict(record.parameters) != dict(plan.parameters.given),
        "access type": disk.access_type is not plan.capability.access_type,
        "fs_type": plan.capability.fs_type not in ("", disk.fs_type),
    }
    different = [what for what, is_different in differences.items() if is_different]
    if different:
        msg = f"volume {spec.volume_name[:128]!r} exists with a different {', '.join(different)}"
        raise DifferentVolumeError(msg)
