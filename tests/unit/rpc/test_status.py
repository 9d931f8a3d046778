import importlib
import pkgutil
from collections.abc import Iterator

import grpc
import pytest

import csi_zfs
from csi_zfs.domain.errors import (
    FAMILIES,
    CsiZfsError,
    InvalidRequestError,
    NotFoundError,
    OutOfRangeError,
    UnsupportedParameterError,
)
from csi_zfs.rpc.status import INTERNAL_DETAILS, MAX_DETAILS_BYTES, TABLE, status_for

CODES_THAT_MAY_STILL_BE_RUNNING = {
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.ABORTED,
}
# Told by `CommandFailedError` itself: whoever runs a command translates its status.
WITHOUT_FAMILY = {"CommandFailedError"}


def leaves_below(base: type[CsiZfsError]) -> Iterator[type[CsiZfsError]]:
    for leaf in base.__subclasses__():
        yield leaf
        yield from leaves_below(leaf)


def all_leaves() -> list[type[CsiZfsError]]:
    for module in pkgutil.walk_packages(csi_zfs.__path__, "csi_zfs."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return sorted(set(leaves_below(CsiZfsError)), key=lambda leaf: leaf.__qualname__)


def test_table_has_a_row_for_every_family() -> None:
    assert set(FAMILIES) <= set(TABLE)


def test_every_leaf_of_the_product_has_a_row_other_than_internal() -> None:
    """A new leaf never becomes INTERNAL, which sidecars take as final (rules.md B10)."""
    leaves = all_leaves()
    without = {
        leaf.__name__ for leaf in leaves if not any(family in TABLE for family in leaf.__mro__)
    }
    assert len(leaves) > len(FAMILIES)
    assert without <= WITHOUT_FAMILY


def test_status_of_a_leaf_is_that_of_its_family() -> None:
    class TooLargeError(OutOfRangeError):
        pass

    status = status_for(TooLargeError("above the limit"))
    assert (status.code, status.details) == (grpc.StatusCode.OUT_OF_RANGE, "above the limit")


def test_status_of_two_families_is_that_of_the_first_in_the_mro() -> None:
    class EitherError(NotFoundError, InvalidRequestError):
        pass

    assert status_for(EitherError("gone")).code is grpc.StatusCode.NOT_FOUND


def test_status_of_an_unsupported_parameter_is_invalid_argument() -> None:
    """UNIMPLEMENTED would tell the resizer to retry what can never work (rules.md B10)."""
    status = status_for(UnsupportedParameterError("no encryption here"))
    assert status.code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("exc", [ValueError("s3cret"), CsiZfsError("s3cret"), KeyError("s3cret")])
def test_status_of_an_error_without_family_is_internal_and_keeps_its_text(exc: Exception) -> None:
    status = status_for(exc)
    assert (status.code, status.details) == (grpc.StatusCode.INTERNAL, INTERNAL_DETAILS)


def test_codes_that_may_still_be_running_are_those_of_the_three_families_that_mean_it() -> None:
    """rules.md B10: any other code is final for the provisioner."""
    running = {
        family.__name__
        for family, row in TABLE.items()
        if row.code in CODES_THAT_MAY_STILL_BE_RUNNING
    }
    assert running == {"OperationPendingError", "OutcomeUnknownError", "UnavailableError"}


def test_details_are_cut_to_what_fits_a_header() -> None:
    status = status_for(InvalidRequestError("ü" * MAX_DETAILS_BYTES))
    assert len(status.details.encode()) <= MAX_DETAILS_BYTES
    assert set(status.details) == {"ü"}


def test_details_with_surrogates_can_be_sent() -> None:
    """A path on disk need not be text."""
    status = status_for(NotFoundError("no file \udcff"))
    assert status.details == "no file \\udcff"
