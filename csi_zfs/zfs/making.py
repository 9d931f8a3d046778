"""Making datasets: empty ones, and clones of snapshots or of datasets as they are now."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType

from csi_zfs.datasets.admission import Claim
from csi_zfs.datasets.api import (
    CloneTooSmallError,
    Dataset,
    DatasetBusyError,
    DatasetExistsError,
    DatasetKind,
    DatasetNotFoundError,
    DatasetSnapshot,
    NewDataset,
    PoolFullError,
    UnsupportedFeatureError,
)
from csi_zfs.datasets.keys import WrappingKey
from csi_zfs.datasets.names import deferred_snapshot_leaf, snapshot_of, split_snapshot
from csi_zfs.domain.sizes import format_size
from csi_zfs.zfs.engine import Engine, new_uid, size_properties
from csi_zfs.zfs.finishing import (
    discard_unfinished,
    discard_unfinished_clone,
    finish_creation,
)
from csi_zfs.zfs.keys import OF_NEW_ROOTS
from csi_zfs.zfs.lzc import LzcError, Properties
from csi_zfs.zfs.properties import (
    canonical_properties,
    kernel_properties,
    kernel_properties_of_clone,
    mutable_properties,
    require_compatible,
)
from csi_zfs.zfs.records import encode_dataset, encode_snapshot
from csi_zfs.zfs.undoing import take_back

log = logging.getLogger(__name__)

_NOTHING_KEPT: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Clone:
    """A clone to make: the dataset, and the native properties that are set with it."""

    dataset: Dataset
    native: Properties


def create(engine: Engine, new: NewDataset) -> Dataset:
    """See `DatasetManager.create`."""
    dataset = _dataset_for(engine, new)
    native = {
        **kernel_properties(dataset.kind, dataset.properties),
        **_size_and_place(engine, dataset),
        **encode_dataset(dataset),
    }
    with _admitted(engine, engine.claim_of(dataset), new.name):
        if new.key is not None:
            _create_encrypted(engine, dataset, {**native, **OF_NEW_ROOTS}, new.key)
            return dataset
        try:
            _create(engine, dataset, native)
        except DatasetExistsError:
            finish_creation(engine, dataset)
    return dataset


def _create(engine: Engine, dataset: Dataset, native: Properties, key: bytes = b"") -> None:
    with engine.home.calling(dataset.name):
        engine.home.core.create(engine.home.full(dataset.name), dataset.kind, native, key=key)


def _create_encrypted(
    engine: Engine, dataset: Dataset, native: Properties, key: WrappingKey
) -> None:
    try:
        _create(engine, dataset, native, key.raw)
    except DatasetExistsError:
        discard_unfinished(engine, dataset)
        _create(engine, dataset, native, key.raw)
    try:
        engine.keys.unload(dataset.name)  # the kernel has loaded it
    except DatasetBusyError:
        log.warning("%s is being looked at: its key stays loaded for now", dataset.name)


def clone(
    engine: Engine, source_name: str, new: NewDataset, quiesced: AbstractContextManager[None]
) -> Dataset:
    """See `DatasetManager.clone`."""
    recent = engine.recent.take(source_name)
    source = recent.entry if recent else engine.objects.entry(source_name)
    _require_same_kind(source, new)
    _require_large_enough(source, new)
    kept = _dataset_of(engine, source).properties
    dataset = replace(_dataset_for(engine, new, kept), origin=source_name)
    planned = _Clone(dataset, _native_of_clone(engine, source, dataset, kept))
    if isinstance(source, Dataset):
        return _clone_of_live(engine, source, planned, quiesced)
    with _admitted(engine, engine.claim_of(dataset), new.name):
        # What a snapshot holds does not change, so nothing is done meanwhile.
        with quiesced:
            pass
        _make(engine, planned)
    return dataset


def _dataset_of(engine: Engine, source: Dataset | DatasetSnapshot) -> Dataset:
    if isinstance(source, Dataset):
        return source
    return engine.objects.dataset(split_snapshot(source.name)[0])


def _clone_of_live(
    engine: Engine, source: Dataset, clone: _Clone, quiesced: AbstractContextManager[None]
) -> Dataset:
    """Through a snapshot of a name of our own making, which goes with the clone.

    It is destroyed deferred once the clone is there; where a crash lies between, the next start
    does that.
    """
    hidden = _hidden_snapshot_of(engine, source)
    dataset = replace(clone.dataset, origin=hidden.name)
    full_name = engine.home.full(hidden.name)
    claim = engine.claim_of(dataset) + engine.claim_of(hidden)
    with _admitted(engine, claim, dataset.name):
        with _destroyed_on_error(engine, full_name):
            with quiesced, engine.home.calling(source.name):
                engine.home.core.snapshot([full_name], encode_snapshot(hidden))
            _make(engine, replace(clone, dataset=dataset))
        with engine.home.calling(hidden.name):
            engine.home.core.destroy_snapshots([full_name], is_deferred=True)
    return dataset


def _make(engine: Engine, clone: _Clone) -> None:
    try:
        _clone_origin(engine, clone)
    except DatasetExistsError:
        discard_unfinished_clone(engine, clone.dataset)
        _clone_origin(engine, clone)


def _clone_origin(engine: Engine, clone: _Clone) -> None:
    dataset = clone.dataset
    name, origin = engine.home.full(dataset.name), engine.home.full(dataset.origin)
    properties = {**clone.native, **encode_dataset(dataset)}
    with engine.home.calling(dataset.origin):
        try:
            engine.home.core.clone(name, origin, properties)
        except LzcError:
            take_back(engine, dataset)
            raise


@contextmanager
def _destroyed_on_error(engine: Engine, full_snapshot_name: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # What does not exist is passed over in silence.
        engine.home.core.destroy_snapshots([full_snapshot_name])
        raise


@contextmanager
def _admitted(engine: Engine, claim: Claim, name: str) -> Iterator[None]:
    """Keep room for what the block makes; whoever repeats a call on a full pool hears "exists"."""
    try:
        with engine.ledger.reserved(claim, engine.space.room):
            yield
    except PoolFullError:
        require_free(engine, name)
        raise


def require_free(engine: Engine, name: str) -> None:
    """Raise `DatasetExistsError` where something has this name."""
    try:
        engine.objects.entry(name)
    except DatasetNotFoundError:
        return
    raise DatasetExistsError(f"{name} exists")


def _require_same_kind(source: Dataset | DatasetSnapshot, new: NewDataset) -> None:
    if new.kind is not source.kind:
        msg = f"{source.name} is a {source.kind}: so is every clone of it, and no {new.kind}"
        raise UnsupportedFeatureError(msg)


def _require_large_enough(source: Dataset | DatasetSnapshot, new: NewDataset) -> None:
    if new.size_bytes < source.size_bytes:
        wanted, needed = format_size(new.size_bytes), format_size(source.size_bytes)
        raise CloneTooSmallError(f"{new.name} of {wanted} cannot hold {source.name}, {needed}")


def _dataset_for(
    engine: Engine, new: NewDataset, kept: Mapping[str, str] = _NOTHING_KEPT
) -> Dataset:
    properties = {**kept, **canonical_properties(new.kind, new.properties)}
    require_compatible(properties)
    return Dataset(
        name=new.name,
        uid=new_uid(),
        kind=new.kind,
        size_bytes=new.size_bytes,
        is_thick=new.is_thick,
        created_ns=engine.clock.now_ns(),
        properties=properties,
        user_properties=dict(new.user_properties),
    )


def _hidden_snapshot_of(engine: Engine, source: Dataset) -> DatasetSnapshot:
    uid = new_uid()
    return DatasetSnapshot(
        name=snapshot_of(source.name, deferred_snapshot_leaf(uid)),
        uid=uid,
        kind=source.kind,
        size_bytes=source.size_bytes,
        is_thick=source.is_thick,
        created_ns=engine.clock.now_ns(),
    )


def _native_of_clone(
    engine: Engine, source: Dataset | DatasetSnapshot, dataset: Dataset, kept: Mapping[str, str]
) -> Properties:
    """What is set at a clone; what is fixed is its origin's, and may be named if it is the same."""
    mutable = mutable_properties(dataset.kind)
    wanted = {
        key: text
        for key, text in dataset.properties.items()
        if key in mutable or text != kept.get(key)
    }
    own = _size_and_place(engine, dataset)
    if dataset.size_bytes == source.size_bytes:
        # It has this already, and to set it needs the key of an encrypted one.
        own.pop("volsize", None)
    return {**kernel_properties_of_clone(dataset.kind, wanted), **own}


def _size_and_place(engine: Engine, dataset: Dataset) -> dict[str, int | str]:
    # Nobody but the driver mounts it: no `zfs mount -a`, at no path of its own.
    place = {"mountpoint": "legacy"} if dataset.kind is DatasetKind.FILESYSTEM else {}
    return {**size_properties(engine, dataset), **place}
