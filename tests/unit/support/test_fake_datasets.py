"""What `FakeDatasets` offers to tests beyond the contract: crash points, plants, switches."""

from fractions import Fraction
from pathlib import Path

import pytest

from csi_zfs.datasets.api import HasDependentsError, NewDataset, NewSnapshot, PoolUnavailableError
from csi_zfs.domain.model import HealthFinding, HealthStatus
from csi_zfs.domain.sizes import GIB, MIB
from tests.support.clock import START_NS, FakeClock
from tests.support.datasets import FakeDatasets
from tests.support.disk import FakeDisk
from tests.support.pool_core import LIKE_OPENZFS, FakePool
from tests.support.pool_state import Room


class CrashError(BaseException):
    """The process dies here."""


class CrashAt:
    """Effects that crash at one point and note all."""

    def __init__(self, point: str = "") -> None:
        self.point = point
        self.seen: list[str] = []

    def __call__(self, point: str) -> None:
        self.seen.append(point)
        if point == self.point:
            raise CrashError


def fake(*, pool: FakePool | None = None) -> FakeDatasets:
    return FakeDatasets(FakeDisk(), FakeClock(), pool or FakePool())


def test_clock_advanced_moves_both_times() -> None:
    clock = FakeClock()
    clock.advance(1.5)
    clock.wait(0.5)
    assert clock.now_ns() == START_NS + 2_000_000_000
    assert clock.monotonic_s() == pytest.approx(2.0)


def test_fake_tells_each_effect_before_and_after() -> None:
    datasets = fake()
    datasets.effects = effects = CrashAt()
    volume = datasets.create(NewDataset("v/a", MIB))
    [snapshot] = datasets.snapshot([NewSnapshot("v/a@s")])
    datasets.destroy_snapshot("v/a@s", uid=snapshot.uid)
    datasets.destroy("v/a", uid=volume.uid)
    verbs = ["create", "snapshot", "destroy_snapshot", "destroy"]
    assert effects.seen == [f"{verb}:{when}" for verb in verbs for when in ("before", "after")]


@pytest.mark.parametrize(("when", "happened"), [("before", False), ("after", True)])
def test_fake_crash_is_before_or_after_the_whole_effect(when: str, *, happened: bool) -> None:
    datasets = fake(pool=FakePool(features=LIKE_OPENZFS))
    datasets.create(NewDataset("v/a", MIB))
    datasets.effects = CrashAt(f"clone:{when}")
    with pytest.raises(CrashError):
        datasets.clone("v/a", NewDataset("v/b", MIB))
    datasets.effects = CrashAt()
    assert (
        "v/b" in {entry.name for entry in datasets.list() if hasattr(entry, "name")}
    ) is happened
    assert len(list(datasets.list_snapshots())) == int(happened)
    assert len(datasets._disk.images) == 1 + 2 * happened


def test_fake_crash_after_capture_leaves_no_image() -> None:
    datasets = fake()
    datasets.create(NewDataset("v/a", MIB))
    datasets.effects = CrashAt("snapshot:before")
    with pytest.raises(CrashError):
        datasets.snapshot([NewSnapshot("v/a@s")])
    assert list(datasets._disk.images) == [Path("/fake/fake/v/a/image")]


def test_fake_planted_snapshot_has_no_user_properties_and_is_a_dependent() -> None:
    """A snapshot that an administrator took by hand."""
    datasets = fake()
    datasets.effects = effects = CrashAt()
    volume = datasets.create(NewDataset("v/a", MIB))
    planted = datasets.plant_snapshot("v/a@byhand")
    assert datasets.get_snapshot("v/a@byhand") == planted
    assert planted.user_properties == {}
    assert effects.seen == ["create:before", "create:after"]
    with pytest.raises(HasDependentsError):
        datasets.destroy("v/a", uid=volume.uid)


def test_fake_uids_depend_on_the_seed_alone() -> None:
    uids = [fake(pool=FakePool(uid_seed=n)).create(NewDataset("v/a", MIB)).uid for n in (1, 1, 2)]
    assert uids[0] == uids[1] != uids[2]


def test_fake_capacity_follows_ratio_and_reserve() -> None:
    """rules.md A13: thick bytes count whole, thin ones by the ratio, beside the reserve."""
    room = Room(total_bytes=10 * GIB, reserve_bytes=GIB, thin_ratio=Fraction(3))
    datasets = fake(pool=FakePool(room=room))
    datasets.create(NewDataset("v/thick", 2 * GIB, is_thick=True))
    datasets.snapshot([NewSnapshot("v/thick@s")])
    datasets.create(NewDataset("v/thin", 6 * GIB))
    datasets.snapshot([NewSnapshot("v/thin@s")])
    capacity = datasets.capacity()
    assert capacity.total_bytes == 10 * GIB
    assert capacity.free_bytes == 6 * GIB
    assert capacity.admissible_thick_bytes == (10 - 1 - 4 - 2) * GIB
    assert capacity.admissible_thin_bytes == (10 - 1 - 4) * 3 * GIB - 6 * GIB


def test_fake_reports_set_findings_and_extents() -> None:
    datasets = fake()
    finding = HealthFinding(HealthStatus.DEGRADED, "PoolNearlyFull", "95 % full")
    datasets.findings = (finding,)
    datasets.create(NewDataset("v/a", MIB))
    datasets.extent_counts["v/a"] = 20_000
    assert datasets.health() == (finding,)
    assert datasets.extent_count("v/a") == 20_000


def test_fake_that_goes_away_within_a_call_refuses_the_effect() -> None:
    datasets = fake()

    def leave(point: str) -> None:
        datasets.is_available = False

    datasets.effects = leave
    with pytest.raises(PoolUnavailableError):
        datasets.create(NewDataset("v/a", MIB))
    datasets.is_available = True
    assert list(datasets.list()) == []
