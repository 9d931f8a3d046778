"""What a program returned is a value or the error that it means."""

import errno

import pytest

from csi_zfs.datasets.api import (
    DatasetExistsError,
    DatasetNotFoundError,
    HasDependentsError,
    PoolUnavailableError,
    SnapshotHeldError,
)
from csi_zfs.zfs.lzc import LzcError, ProgramValue
from csi_zfs.zfs.outcomes import PoolServedElsewhereError, RecordChangedError, found_of


def test_found_of_done_is_what_was_returned() -> None:
    assert found_of({"outcome": "done", "x": 1}, "read", "v/a") == {"outcome": "done", "x": 1}


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        ("absent", DatasetNotFoundError),
        ("exists", DatasetExistsError),
        ("changed", RecordChangedError),
        ("dependents", HasDependentsError),
        ("held", SnapshotHeldError),
        ("away", PoolUnavailableError),
        ("unreadable", PoolUnavailableError),
        ("taken", PoolServedElsewhereError),
    ],
)
def test_found_of_another_outcome_is_its_error(outcome: str, error: type[Exception]) -> None:
    with pytest.raises(error, match="v/a"):
        found_of({"outcome": outcome}, "read", "v/a")


def test_found_of_dependents_names_who_needs_it() -> None:
    returned: ProgramValue = {"outcome": "dependents", "name": "tank/csi/v/a@s"}
    with pytest.raises(HasDependentsError, match="v/a is needed by tank/csi/v/a@s"):
        found_of(returned, "destroy", "v/a")


def test_found_of_refused_is_the_errno_about_the_thing_that_the_program_names() -> None:
    returned: ProgramValue = {"outcome": "refused", "errno": errno.ENOSPC, "name": "tank/x@s"}
    with pytest.raises(LzcError) as caught:
        found_of(returned, "snapshot", "v/a")
    assert (caught.value.call, caught.value.errno) == ("snapshot", errno.ENOSPC)
    assert caught.value.names == ("tank/x@s",)


def test_found_of_anything_but_a_table_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="program read"):
        found_of(None, "read", "v/a")
