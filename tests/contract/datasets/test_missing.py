"""Contract: what is not there is "not found", for every method, and nothing is made on the way."""

from collections.abc import Callable

import pytest

from csi_zfs.datasets.api import DatasetManager, DatasetNotFoundError, NewDataset, NewSnapshot
from tests.contract.datasets.world import SIZE_BYTES, changes_nothing, make, take
from tests.support.pools import PoolUnderTest

UID = "0123456789abcdef"
Call = Callable[[DatasetManager], object]

CALLS: dict[str, Call] = {
    "get": lambda it: it.get("v/no"),
    "data_path": lambda it: it.data_path("v/no"),
    "resize": lambda it: it.resize("v/no", SIZE_BYTES),
    "rename": lambda it: it.rename("v/no", "v/new"),
    "retire": lambda it: it.retire("v/no", "v/D-0123456789abcdef"),
    "set_properties": lambda it: it.set_properties("v/no", {}),
    "set_user_properties": lambda it: it.set_user_properties("v/no", {}),
    "destroy": lambda it: it.destroy("v/no", uid=UID),
    "extent_count": lambda it: it.extent_count("v/no"),
    "changed_ranges from": lambda it: list(it.changed_ranges("v/a@no", "v/a@snap")),
    "changed_ranges to": lambda it: list(it.changed_ranges("v/a@snap", "v/no@snap")),
    "clone of a dataset": lambda it: it.clone("v/no", NewDataset("v/new", SIZE_BYTES)),
    "clone of a snapshot": lambda it: it.clone("v/a@no", NewDataset("v/new", SIZE_BYTES)),
    "clone of a dataset's snapshot": lambda it: it.clone(
        "v/no@snap", NewDataset("v/new", SIZE_BYTES)
    ),
    "snapshot": lambda it: it.snapshot([NewSnapshot("v/no@snap")]),
    "get_snapshot": lambda it: it.get_snapshot("v/a@no"),
    "get_snapshot of a dataset": lambda it: it.get_snapshot("v/no@snap"),
    "rename_snapshot": lambda it: it.rename_snapshot("v/a@no", "v/a@new"),
    "destroy_snapshot": lambda it: it.destroy_snapshot("v/a@no", uid=UID),
    "destroy_snapshot deferred": lambda it: it.destroy_snapshot(
        "v/a@no", uid=UID, is_deferred=True
    ),
    "hold": lambda it: it.hold("v/a@no", "tag"),
    "release": lambda it: it.release("v/a@no", "tag"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_call_for_missing_thing_is_not_found_and_changes_nothing(
    pool: PoolUnderTest, call: Call
) -> None:
    """rules.md A5, B3: a typed error, for this very thing, beside others that exist."""
    make(pool, "v/a")
    take(pool, "v/a@snap")
    with changes_nothing(pool), pytest.raises(DatasetNotFoundError):
        call(pool.manager)
