import pytest

from csi_zfs.cas.api import ChunkCorruptError
from csi_zfs.cli.statuses import BUG, DAMAGED, REFUSED, WRONG_SETTINGS, status_of
from csi_zfs.domain.errors import FAMILIES, CorruptionError, NotFoundError
from csi_zfs.settings import SettingsError


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SettingsError([]), WRONG_SETTINGS),
        (ChunkCorruptError("x"), DAMAGED),
        (NotFoundError("x"), REFUSED),
        (RuntimeError("x"), BUG),
    ],
)
def test_error_ends_with_the_status_of_its_family(error: Exception, status: int) -> None:
    assert status_of(error) == status


def test_every_family_but_damage_is_a_refusal() -> None:
    others = [family for family in FAMILIES if family is not CorruptionError]

    assert {status_of(family("x")) for family in others} == {REFUSED}
