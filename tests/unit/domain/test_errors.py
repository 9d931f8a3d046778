"""The families of errors: every leaf of the whole package has exactly one."""

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import csi_zfs
from csi_zfs.domain.errors import (
    FAMILIES,
    CsiZfsError,
    InvalidRequestError,
    UnsupportedError,
    UnsupportedParameterError,
)

# Importing them runs a program.
_SCRIPTS = {"csi_zfs.__main__"}


def load_package() -> None:
    """Import every module, so that every error of the package is known."""
    for module in pkgutil.walk_packages(csi_zfs.__path__, "csi_zfs."):
        if module.name not in _SCRIPTS:
            importlib.import_module(module.name)


def below(error: type[CsiZfsError]) -> Iterator[type[CsiZfsError]]:
    for leaf in error.__subclasses__():
        yield leaf
        yield from below(leaf)


def families_of(error: type[CsiZfsError]) -> list[type[CsiZfsError]]:
    return [family for family in FAMILIES if issubclass(error, family)]


def test_every_error_of_the_package_has_exactly_one_family() -> None:
    load_package()
    errors = {error for error in below(CsiZfsError) if error.__module__.startswith("csi_zfs.")}
    odd = {
        error: families_of(error)
        for error in errors
        if len(families_of(error)) != 1 and not issubclass(error, UnsupportedParameterError)
    }
    assert odd == {}
    assert len(errors) > 40  # the walk found the leaves of the other rooms too


def test_unsupported_parameter_is_both_unsupported_and_an_invalid_request() -> None:
    assert families_of(UnsupportedParameterError) == [InvalidRequestError, UnsupportedError]


@pytest.mark.parametrize("family", FAMILIES)
def test_family_is_a_child_of_the_base_alone(family: type[CsiZfsError]) -> None:
    assert family.__bases__ == (CsiZfsError,)
