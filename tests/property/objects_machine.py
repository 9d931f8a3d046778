"""An object storage against a plain dictionary, while calls are lost, refused or come twice."""

from collections.abc import Callable
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from csi_zfs.cas.api import (
    ObjectChangedError,
    ObjectExistsError,
    ObjectInfo,
    ObjectNotFoundError,
    ObjectStorage,
    StorageUnavailableError,
)
from tests.support.faulty_objects import Fault, FaultyObjects

T = TypeVar("T")
# Some are the beginning of others, and sort differently as names and as keys.
KEYS = st.sampled_from(["a/b/x", "a/b-c/x", "a/b.d", "a/b0", "a/bb/x", "c", "packs/00/1"])
PREFIXES = st.sampled_from(["", "a/", "a/b/", "packs/", "none/"])
# Few, so that contents come back: a tag may too.
CONTENTS = st.sampled_from([b"", b"one", b"two", b"three" * 1000])
# A put that comes again late is left out: it may bring back what was deleted meanwhile.
FAULTS = st.lists(st.sampled_from([Fault.OK, Fault.BUSY, Fault.LOST, Fault.TWICE]), max_size=3)
RANGES = st.lists(st.tuples(st.integers(0, 6000), st.integers(0, 6000)), max_size=4)


class ObjectsMachine(RuleBasedStateMachine):
    """Every call is repeated until it was answered; then the model says what it must have done."""

    def __init__(self, storage: ObjectStorage) -> None:
        """Begin with an empty storage."""
        super().__init__()
        self.storage = storage
        self.model: dict[str, bytes] = {}

    def repeat(self, faults: list[Fault], call: Callable[[ObjectStorage], T]) -> T:
        """The answer of a call whose first requests have these faults."""
        faulty = FaultyObjects(self.storage, writes=faults)
        while True:
            try:
                return call(faulty)
            except StorageUnavailableError:
                assert faults

    @rule(key=KEYS, data=CONTENTS, faults=FAULTS)
    def put(self, key: str, data: bytes, faults: list[Fault]) -> None:
        """Write whatever is there."""
        self.repeat(faults, lambda it: it.put(key, data))
        self.model[key] = data

    @rule(key=KEYS, data=CONTENTS, faults=FAULTS)
    def put_new(self, key: str, data: bytes, faults: list[Fault]) -> None:
        """Write unless there is something else."""
        there = self.model.get(key, data)
        try:
            tag = self.repeat(faults, lambda it: it.put_new(key, data))
        except ObjectExistsError:
            assert there != data
        else:
            assert there == data
            assert self.storage.get(key).tag == tag
            self.model[key] = data

    @precondition(lambda self: self.model)
    @rule(choice=st.data(), data=CONTENTS, faults=FAULTS)
    def replace(self, choice: st.DataObject, data: bytes, faults: list[Fault]) -> None:
        """Replace with the tag that is there."""
        key = choice.draw(st.sampled_from(sorted(self.model)))
        tag = self.storage.get(key).tag
        new_tag = self.repeat(faults, lambda it: it.replace(key, data, tag))
        assert self.storage.get(key).tag == new_tag
        self.model[key] = data

    @rule(key=KEYS, data=CONTENTS, faults=FAULTS)
    def replace_with_another_tag(self, key: str, data: bytes, faults: list[Fault]) -> None:
        """Refused, unless the wanted content is there."""
        try:
            self.repeat(faults, lambda it: it.replace(key, data, "another"))
        except ObjectChangedError:
            assert self.model.get(key) != data
        else:
            assert self.model[key] == data

    @rule(keys=st.lists(KEYS, max_size=4), faults=FAULTS)
    def delete(self, keys: list[str], faults: list[Fault]) -> None:
        """Delete some, twice in one call too."""
        self.repeat(faults, lambda it: it.delete(keys))
        for key in keys:
            self.model.pop(key, None)

    @rule(key=KEYS, ranges=RANGES)
    def read(self, key: str, ranges: list[tuple[int, int]]) -> None:
        """Read a whole object and parts of it."""
        data = self.model.get(key)
        try:
            parts = self.storage.get_ranges(key, ranges)
        except ObjectNotFoundError:
            assert data is None
        else:
            assert data is not None
            assert parts == [data[at : at + length] for at, length in ranges]
            assert self.storage.get(key).data == data

    @rule(prefix=PREFIXES)
    def list_below(self, prefix: str) -> None:
        """List what is below a prefix."""
        found = [info.key for info in self.storage.list(prefix)]
        assert found == sorted(key for key in self.model if key.startswith(prefix))

    @invariant()
    def storage_holds_what_the_model_holds(self) -> None:
        """Nothing more, nothing else, in order."""
        infos: list[ObjectInfo] = list(self.storage.list(""))
        assert [info.key for info in infos] == sorted(self.model)
        assert [info.size_bytes for info in infos] == [
            len(data) for _, data in sorted(self.model.items())
        ]
        assert {info.key: self.storage.get(info.key).data for info in infos} == self.model
