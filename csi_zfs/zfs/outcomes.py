"""What a channel program returned, as values or as the error that it means."""

from typing import Any

from csi_zfs.datasets.api import (
    DatasetExistsError,
    DatasetNotFoundError,
    HasDependentsError,
    PoolUnavailableError,
    SnapshotHeldError,
)
from csi_zfs.domain.errors import OperationPendingError
from csi_zfs.zfs.lzc import LzcError, ProgramValue
from csi_zfs.zfs.programs import Outcome

# What a program of ours returned: its text says which keys there are, and of which types.
Found = dict[str, Any]


class RecordChangedError(OperationPendingError):
    """Somebody else changed the dataset or snapshot in this very moment: try again."""


class PoolServedElsewhereError(PoolUnavailableError):
    """Another driver serves the pool."""


class SameTransactionError(OperationPendingError):
    """The dataset had a snapshot taken in the same transaction group: it can have one in each."""


def found_of(returned: ProgramValue, program: str, name: str) -> Found:
    """What a program returned; raises the error of any outcome but `DONE`, about `name`.

    What the kernel refused is an `LzcError`, as of a call of that name.
    """
    if not isinstance(returned, dict):
        raise TypeError(f"program {program} returned {returned!r}")
    outcome = Outcome(str(returned["outcome"]))
    if outcome is Outcome.DONE:
        return returned
    about = str(returned.get("name", name))
    if outcome is Outcome.REFUSED:
        raise LzcError(program, Found(returned)["errno"], [about])
    if outcome is Outcome.AGAIN:
        raise SameTransactionError(f"{about} comes too soon after another one: try again")
    if outcome is Outcome.TAKEN:
        raise PoolServedElsewhereError(f"another driver has taken over the pool of {name}")
    if outcome is Outcome.UNREADABLE:
        msg = f"{name} cannot be read from the disks of its pool: see `zpool status -v`"
        raise PoolUnavailableError(msg)
    raise _error_of(outcome, name, about)


def _error_of(outcome: Outcome, name: str, about: str) -> Exception:
    match outcome:
        case Outcome.ABSENT:
            return DatasetNotFoundError(f"there is no {name}")
        case Outcome.EXISTS:
            return DatasetExistsError(f"{about} exists")
        case Outcome.CHANGED:
            return RecordChangedError(f"{name} was changed meanwhile: try again")
        case Outcome.DEPENDENTS:
            return HasDependentsError(f"{name} is needed by {about}")
        case Outcome.HELD:
            return SnapshotHeldError(f"{name} is held")
        case _:
            return PoolUnavailableError(f"the pool of {name} is not there, or is another one")
