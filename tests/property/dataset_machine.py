"""`DatasetMachine`: does random verbs to a pool and to its model, and compares the two."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from csi_zfs.datasets.api import (
    Dataset,
    DatasetNotFoundError,
    DatasetSnapshot,
    NewDataset,
    NewSnapshot,
    PoolUnavailableError,
)
from csi_zfs.datasets.names import is_deferred_snapshot, tombstone_of
from csi_zfs.domain.sizes import MIB
from tests.contract.datasets.deletion import delete, sweep_tombstones
from tests.contract.datasets.world import RECORD, entries
from tests.property.dataset_model import Errors, ModelDataset, ModelPool, ModelSnapshot
from tests.support.pools import PoolMaker

CONTENT_BYTES = 8
T = TypeVar("T")

MISSING = "v/missing"
MISSING_SNAPSHOT = "v/missing@s"
names = st.sampled_from(["v/a", "v/ab", "v/a-1", "v/b", "v/b.c", "v/h-1", "v/0", "v/" + "c" * 48])
snapshot_leaves = st.sampled_from(["s", "s1", "t" * 48])
sizes = st.integers(1, 4).map(lambda count: count * MIB)
contents = st.binary(min_size=CONTENT_BYTES, max_size=CONTENT_BYTES)
records = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=30)
tags = st.sampled_from(["one", "two"])


def answers(errors: Errors, call: Callable[[], T]) -> T | None:
    """What the call returns, or None where it failed as it must."""
    if not errors:
        return call()
    with pytest.raises(tuple(errors)):
        call()
    return None


class DatasetMachine(RuleBasedStateMachine):
    """Does the same to a pool and to its model; one for each sequence."""

    def __init__(self, make_pool: PoolMaker) -> None:
        super().__init__()
        self.stack = ExitStack()
        directory = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="csi-zfs-"))
        self.pool = self.stack.enter_context(make_pool(Path(directory)))
        self.model = ModelPool()
        self.before = self.pool.manager.capacity().admissible_thin_bytes

    def teardown(self) -> None:
        """Delete what is left: then nothing may stay, nor stay promised (rules.md A3, A13)."""
        try:
            for name, snapshot in self.model.snapshots.items():
                for tag in snapshot.holds:
                    self.pool.manager.release(name, tag)
            for uid in self._undeleted():
                delete(self.pool.manager, uid)
            sweep_tombstones(self.pool.manager)
            assert entries(self.pool.manager) == {}
            assert self.pool.manager.capacity().admissible_thin_bytes == self.before
        finally:
            self.stack.close()

    @initialize(content=contents)
    def begin_with_a_few(self, content: bytes) -> None:
        for name in ("v/a", "v/b"):
            self.create(name, MIB, "")
            self._write(name, content)
        self._take(["v/a@s"], "")

    @rule(name=names, size_bytes=sizes, record=records)
    def create(self, name: str, size_bytes: int, record: str) -> None:
        new = NewDataset(name, size_bytes, user_properties={RECORD: record})
        errors = self.model.errors_of_new(name)
        dataset = answers(errors, lambda: self.pool.manager.create(new))
        if dataset is not None:
            self.model.datasets[name] = ModelDataset(
                dataset.uid, size_bytes, bytes(CONTENT_BYTES), record
            )

    @precondition(lambda self: self.model.live())
    @rule(data=st.data(), content=contents)
    def write(self, data: st.DataObject, content: bytes) -> None:
        self._write(data.draw(st.sampled_from(self.model.live())), content)

    @rule(data=st.data(), name=names, more_bytes=st.sampled_from([0, MIB]))
    def clone(self, data: st.DataObject, name: str, more_bytes: int) -> None:
        source = data.draw(st.one_of(self._datasets(), self._snapshots()))
        model = self.model.snapshots.get(source) or self.model.datasets.get(source)
        errors = self.model.errors_of_moving(source, name)
        size_bytes = more_bytes + (model.size_bytes if model else MIB)
        new = NewDataset(name, size_bytes)
        clone = answers(errors, lambda: self.pool.manager.clone(source, new))
        if clone is not None and model is not None:
            origin_uid = self._learn_origin(clone, source)
            self.model.datasets[name] = ModelDataset(
                clone.uid, size_bytes, model.content, origin_uid=origin_uid
            )

    @rule(data=st.data(), leaf=snapshot_leaves, record=records)
    def snapshot(self, data: st.DataObject, leaf: str, record: str) -> None:
        sources = data.draw(st.sets(self._datasets(), min_size=1, max_size=3))
        self._take([f"{source}@{leaf}" for source in sorted(sources)], record)

    @rule(data=st.data(), new_name=names)
    def rename(self, data: st.DataObject, new_name: str) -> None:
        name = data.draw(self._datasets())
        errors = self.model.errors_of_moving(name, new_name)
        if answers(errors, lambda: self.pool.manager.rename(name, new_name)):
            self.model.move(name, new_name)

    @precondition(lambda self: self.model.live())
    @rule(data=st.data(), times=st.integers(1, 2))
    def retire(self, data: st.DataObject, times: int) -> None:
        name = data.draw(st.sampled_from(self.model.live()))
        tombstone = tombstone_of(self.model.datasets[name].uid)
        for _ in range(times):
            self.pool.manager.retire(name, tombstone)
        self.model.move(name, tombstone)
        self.model.datasets[tombstone] = replace(self.model.datasets[tombstone], content=None)

    @precondition(lambda self: self.model.datasets)
    @rule(data=st.data())
    def destroy(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([*self.model.datasets]))
        uid = self.model.datasets[name].uid
        errors = self.model.errors_of_destroying(name)
        answers(errors, lambda: self.pool.manager.destroy(name, uid=uid))
        if not errors:
            del self.model.datasets[name]
            self.model.drop_unneeded()

    @precondition(lambda self: self.model.snapshots)
    @rule(data=st.data(), is_deferred=st.booleans())
    def destroy_snapshot(self, data: st.DataObject, *, is_deferred: bool) -> None:
        name = data.draw(st.sampled_from([*self.model.snapshots]))
        uid = self.model.snapshots[name].uid
        errors = self.model.errors_of_destroying_snapshot(name, is_deferred=is_deferred)
        destroy = self.pool.manager.destroy_snapshot
        answers(errors, lambda: destroy(name, uid=uid, is_deferred=is_deferred))
        if not errors:
            self.model.destroy_snapshot(name)

    @rule(data=st.data())
    def destroy_another(self, data: st.DataObject) -> None:
        """rules.md A2: a uid that nobody has."""
        name = data.draw(st.one_of(self._datasets(), self._snapshots()))
        manager = self.pool.manager
        with pytest.raises(DatasetNotFoundError):
            (manager.destroy_snapshot if "@" in name else manager.destroy)(name, uid="f" * 16)

    @rule(data=st.data(), leaf=snapshot_leaves)
    def rename_snapshot(self, data: st.DataObject, leaf: str) -> None:
        name = data.draw(self._snapshots())
        new_name = f"{name.partition('@')[0]}@{leaf}"
        errors = self.model.errors_of_moving(name, new_name)
        if answers(errors, lambda: self.pool.manager.rename_snapshot(name, new_name)):
            self.model.snapshots[new_name] = self.model.snapshots.pop(name)

    @rule(data=st.data(), tag=tags)
    def hold(self, data: st.DataObject, tag: str) -> None:
        name = data.draw(self._snapshots())
        errors = self.model.errors_of_using(name)
        answers(errors, lambda: self.pool.manager.hold(name, tag))
        if not errors:
            self.model.hold(name, tag)

    @rule(data=st.data(), tag=tags)
    def release(self, data: st.DataObject, tag: str) -> None:
        name = data.draw(st.sampled_from([*self.model.snapshots, MISSING_SNAPSHOT]))
        errors = self.model.errors_of_using(name)
        answers(errors, lambda: self.pool.manager.release(name, tag))
        if not errors:
            self.model.release(name, tag)

    @rule(data=st.data(), size_bytes=sizes)
    def resize(self, data: st.DataObject, size_bytes: int) -> None:
        name = data.draw(self._datasets())
        errors = self.model.errors_of_using(name)
        if answers(errors, lambda: self.pool.manager.resize(name, size_bytes)):
            model = self.model.datasets[name]
            size_bytes = max(size_bytes, model.size_bytes)
            self.model.datasets[name] = replace(model, size_bytes=size_bytes)

    @rule(data=st.data(), record=records)
    def set_user_properties(self, data: st.DataObject, record: str) -> None:
        name = data.draw(self._datasets())
        errors = self.model.errors_of_using(name)
        new = {RECORD: record}
        if answers(errors, lambda: self.pool.manager.set_user_properties(name, new)):
            self.model.datasets[name] = replace(self.model.datasets[name], record=record)

    @rule()
    def reopen(self) -> None:
        self.pool.reopen()

    @rule(name=names)
    def lose_the_pool_for_a_while(self, name: str) -> None:
        """rules.md A5: absent and present names alike."""
        with self.pool.away(), pytest.raises(PoolUnavailableError):
            self.pool.manager.get(name)

    @invariant()
    def lists_are_those_of_the_model(self) -> None:
        found = entries(self.pool.manager)
        assert found.keys() == self.model.datasets.keys() | self.model.snapshots.keys()
        uids = {name: entry.uid for name, entry in found.items()}
        for name, dataset in self.model.datasets.items():
            entry = self.pool.manager.get(name)
            assert entry == found[name]
            assert (entry.uid, entry.size_bytes) == (dataset.uid, dataset.size_bytes)
            assert entry.user_properties.get(RECORD, "") == dataset.record
            assert uids.get(entry.origin, "") == dataset.origin_uid
        for name, snapshot in self.model.snapshots.items():
            taken = self.pool.manager.get_snapshot(name)
            assert taken == found[name]
            assert (taken.uid, taken.size_bytes) == (snapshot.uid, snapshot.size_bytes)
            assert (taken.holds, taken.is_deferred) == (snapshot.holds, snapshot.is_deferred)
            assert taken.user_properties.get(RECORD, "") == snapshot.record

    @invariant()
    def contents_are_those_of_the_model(self) -> None:
        for name in self.model.live():
            assert self.pool.read(name, CONTENT_BYTES) == self.model.datasets[name].content

    def _undeleted(self) -> list[str]:
        uids = [self.model.datasets[name].uid for name in self.model.live()]
        return uids + [self.model.snapshots[name].uid for name in self.model.kept()]

    def _datasets(self) -> st.SearchStrategy[str]:
        """Names of datasets that may be used, and seldom one of none."""
        return st.sampled_from(4 * self.model.live() + [MISSING])

    def _snapshots(self) -> st.SearchStrategy[str]:
        """Names of snapshots that may be used, and seldom one of none."""
        return st.sampled_from(4 * self.model.kept() + [MISSING_SNAPSHOT])

    def _write(self, name: str, content: bytes) -> None:
        self.pool.write(name, content)
        self.model.datasets[name] = replace(self.model.datasets[name], content=content)

    def _take(self, asked: list[str], record: str) -> None:
        new = [NewSnapshot(name, user_properties={RECORD: record}) for name in asked]
        errors = self.model.errors_of_snapshots(asked)
        for taken in answers(errors, lambda: self.pool.manager.snapshot(new)) or ():
            self._learn_snapshot(taken, record=record)

    def _learn_snapshot(self, taken: DatasetSnapshot, *, record: str) -> None:
        content = self.model.datasets[taken.name.partition("@")[0]].content
        assert content is not None
        self.model.snapshots[taken.name] = ModelSnapshot(
            taken.uid, taken.size_bytes, content, record, is_deferred=taken.is_deferred
        )

    def _learn_origin(self, clone: Dataset, source: str) -> str:
        """The uid of the snapshot that the clone needs; that of a live dataset is hidden."""
        if not clone.origin:
            return ""
        if "@" not in source:
            assert is_deferred_snapshot(clone.origin)
            self._learn_snapshot(self.pool.manager.get_snapshot(clone.origin), record="")
        return self.model.snapshots[clone.origin].uid
