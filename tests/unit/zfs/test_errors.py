"""What an errno of OpenZFS means."""

import errno
from collections.abc import Callable, Mapping

import pytest

from csi_zfs.datasets.api import (
    DatasetBusyError,
    DatasetExistsError,
    DatasetNotFoundError,
    HasDependentsError,
    PoolFullError,
    PoolUnavailableError,
    RecordCorruptError,
    SnapshotHeldError,
    UnsupportedFeatureError,
)
from csi_zfs.datasets.keys import KeyNotLoadedError, LineageChangedError, WrongKeyError
from csi_zfs.zfs.errors import (
    KeyLoadedError,
    ModuleVersionError,
    PoolSuspendedError,
    ProgramFailedError,
    error_of_errno,
    translating,
)
from csi_zfs.zfs.lzc import LzcError, ZfsErrno

DATASET, ORIGIN = "pool/v/x", "pool/v/y@s"


def translated(
    error: LzcError,
    *,
    prove_absent: Callable[[str], bool] | None = None,
    explain_busy: Callable[[], Exception] | None = None,
) -> Exception:
    with (
        pytest.raises(Exception) as caught,  # noqa: PT011 - which one is what the test asks
        translating("x", prove_absent=prove_absent, explain_busy=explain_busy),
    ):
        raise error
    return caught.value


def only(*missing: str) -> Callable[[str], bool]:
    return lambda name: name in missing


MEANINGS: Mapping[tuple[str, int], type[Exception]] = {
    ("create", errno.EEXIST): DatasetExistsError,
    ("create", errno.ENOSPC): PoolFullError,
    ("create", errno.EDQUOT): PoolFullError,
    ("create", errno.EACCES): KeyNotLoadedError,
    ("create", errno.EOPNOTSUPP): UnsupportedFeatureError,
    ("create", errno.ERANGE): UnsupportedFeatureError,
    ("create", ZfsErrno.BADPROP): UnsupportedFeatureError,
    ("create", ZfsErrno.CRYPTO_NOTSUP): UnsupportedFeatureError,
    ("create", ZfsErrno.WRONG_PARENT): PoolUnavailableError,
    ("create", errno.EAGAIN): PoolSuspendedError,
    ("create", errno.EROFS): PoolUnavailableError,
    ("create", errno.ENOMEM): PoolUnavailableError,
    ("create", ZfsErrno.EXPORT_IN_PROGRESS): PoolUnavailableError,
    ("create", ZfsErrno.IOC_CMD_UNAVAIL): ModuleVersionError,
    ("holds", errno.EIO): PoolUnavailableError,
    ("holds", errno.ENXIO): PoolUnavailableError,
    ("holds", errno.EBADE): RecordCorruptError,
    ("holds", errno.ENOENT): PoolUnavailableError,
    ("destroy", errno.EBUSY): DatasetBusyError,
    ("destroy", errno.EEXIST): HasDependentsError,
    ("destroy_snapshots", errno.EEXIST): HasDependentsError,
    ("load_key", errno.EEXIST): KeyLoadedError,
    ("load_key", errno.EACCES): WrongKeyError,
    ("load_key", errno.EINVAL): LineageChangedError,
    ("change_key", errno.EINVAL): LineageChangedError,
    ("change_key", errno.EACCES): KeyNotLoadedError,
    ("unload_key", errno.EACCES): KeyNotLoadedError,
    ("run_program", errno.ENOSPC): ProgramFailedError,
    ("run_program", errno.ECHRNG): ProgramFailedError,
    ("run_program", errno.ETIME): ProgramFailedError,
    ("run_program", errno.EINTR): ProgramFailedError,
    ("run_program", errno.EAGAIN): PoolSuspendedError,
    ("initialize", errno.ENOENT): PoolUnavailableError,
    ("initialize", errno.ELIBACC): PoolUnavailableError,
}


@pytest.mark.parametrize(("call", "number"), MEANINGS)
def test_errno_of_a_call_is_exactly_one_error(call: str, number: int) -> None:
    assert type(translated(LzcError(call, number, (DATASET,)))) is MEANINGS[call, number]


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("create", errno.EINVAL),
        ("rename", errno.EACCES),  # moving an encrypted clone away: we never do
        ("read_program", errno.ENOSPC),  # the program's memory, never "the pool is full"
    ],
)
def test_mistake_of_the_driver_passes_as_it_is(call: str, number: int) -> None:
    error = LzcError(call, number, (DATASET,))
    assert translated(error) is error


def test_error_that_is_not_of_the_library_passes() -> None:
    with pytest.raises(KeyError), translating("x"):
        raise KeyError


def test_no_entry_without_proof_is_never_absence() -> None:
    """rules.md A5: an exported pool gives it too."""
    assert type(translated(LzcError("destroy", errno.ENOENT, (DATASET,)))) is PoolUnavailableError


def test_no_entry_with_proof_is_absence_of_what_was_proved() -> None:
    """rules.md A5."""
    error = translated(
        LzcError("clone", errno.ENOENT, (DATASET, ORIGIN)), prove_absent=only(ORIGIN)
    )
    assert isinstance(error, DatasetNotFoundError)
    assert ORIGIN in str(error)


@pytest.mark.parametrize(
    ("call", "names", "asked_about"),
    [
        ("destroy", (DATASET,), [DATASET]),
        ("rename", (DATASET, "pool/v/z"), [DATASET]),
        ("clone", (DATASET, ORIGIN), [ORIGIN]),
        ("receive", (f"{DATASET}@s", ORIGIN), [ORIGIN]),
        ("snapshot", (f"{DATASET}@s", "pool/v/y@s"), [DATASET, "pool/v/y"]),
        ("create", (DATASET,), []),
        ("read_program", ("pool",), []),
    ],
)
def test_proof_is_asked_about_what_had_to_exist(
    call: str, names: tuple[str, ...], asked_about: list[str]
) -> None:
    """A name that the call was to make is absent by right, and its parent is the pool's affair."""
    asked: list[str] = []

    def prove_absent(name: str) -> bool:
        asked.append(name)
        return False

    error = translated(LzcError(call, errno.ENOENT, names), prove_absent=prove_absent)
    assert (asked, type(error)) == (asked_about, PoolUnavailableError)


def test_proof_that_cannot_tell_wins() -> None:
    """rules.md A5."""

    def prove_absent(name: str) -> bool:
        raise PoolUnavailableError(name)

    error = translated(LzcError("holds", errno.ENOENT, (ORIGIN,)), prove_absent=prove_absent)
    assert type(error) is PoolUnavailableError
    assert str(error) == ORIGIN


def test_busy_is_explained_by_who_can() -> None:
    """rules.md B4."""
    error = translated(
        LzcError("destroy_snapshots", errno.EBUSY, (ORIGIN,)),
        explain_busy=lambda: SnapshotHeldError("held by t"),
    )
    assert isinstance(error, SnapshotHeldError)


def test_words_of_a_program_reach_the_text() -> None:
    error = LzcError("run_program", errno.ECHRNG, ("pool",), detail="attempt to call a nil value")
    assert "attempt to call a nil value" in str(translated(error))


def test_errno_inside_a_program_has_the_same_meaning() -> None:
    assert isinstance(error_of_errno(errno.ENOSPC, "x"), PoolFullError)
    assert isinstance(error_of_errno(errno.EXDEV, "x"), LzcError)


def test_error_of_the_library_tells_its_numbers() -> None:
    error = LzcError("snapshot", errno.EEXIST, ("a@s", "b@s"), errno_of={"b@s": errno.EEXIST})
    assert str(error) == "snapshot a@s, b@s: errno 17; b@s: errno 17"
