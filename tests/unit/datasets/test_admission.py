"""rules.md A13: what a pool promises, by arithmetic alone."""

import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csi_zfs.datasets.admission import Claim, InvalidPolicyError, Ledger, Policy, Room
from csi_zfs.datasets.api import Dataset, DatasetKind, DatasetSnapshot, PoolFullError
from csi_zfs.domain.sizes import GIB, MIB

NOTHING = Claim()
ROOM = Room(total_bytes=100 * GIB, free_bytes=100 * GIB)
EVEN = Policy(thin_percent=100, reserve_percent=0)
UID = "0123456789abcdef"

sizes = st.integers(0, 1 << 62)
rooms = st.tuples(sizes, sizes).map(lambda pair: Room(max(pair), min(pair)))
claims = st.builds(Claim, sizes, sizes)
policies = st.builds(Policy, st.integers(100, 10_000), st.integers(0, 50))


def thick(size_bytes: int) -> Claim:
    return Claim(thick_bytes=size_bytes)


def thin(size_bytes: int) -> Claim:
    return Claim(thin_bytes=size_bytes)


def admits(ledger: Ledger, claim: Claim, room: Room) -> bool:
    try:
        with ledger.reserved(claim, lambda: room):
            return True
    except PoolFullError:
        return False


@given(policies, rooms, claims)
def test_ledger_admits_exactly_what_its_capacity_says(
    policy: Policy, room: Room, promised: Claim
) -> None:
    capacity = Ledger(policy, promised).capacity(room)
    for make, admissible_bytes in (
        (thin, capacity.admissible_thin_bytes),
        (thick, capacity.admissible_thick_bytes),
    ):
        assert admissible_bytes % MIB == 0
        if admissible_bytes:
            assert admits(Ledger(policy, promised), make(admissible_bytes), room)
        assert not admits(Ledger(policy, promised), make(admissible_bytes + MIB), room)


@given(policies, rooms, st.lists(claims))
def test_ledger_never_promises_more_than_the_pool_less_its_reserve(
    policy: Policy, room: Room, wanted: list[Claim]
) -> None:
    """The law of the module, in exact fractions and from nothing."""
    ledger = Ledger(policy, NOTHING)
    for claim in wanted:
        admits(ledger, claim, room)
    promised = ledger.promised
    weight = promised.thick_bytes + Fraction(promised.thin_bytes * 100, policy.thin_percent)
    assert weight <= room.total_bytes - policy.reserve_bytes(room)


@given(policies, rooms, claims, claims)
def test_ledger_after_a_refusal_is_as_before(
    policy: Policy, room: Room, promised: Claim, wanted: Claim
) -> None:
    ledger = Ledger(policy, promised)
    if not admits(ledger, wanted, room):
        assert ledger.promised == promised


@given(policies, rooms, claims)
def test_pool_below_its_reserve_takes_nothing_not_even_a_thin_snapshot(
    policy: Policy, room: Room, promised: Claim
) -> None:
    is_below = room.free_bytes < policy.reserve_bytes(room)
    assert policy.is_nearly_full(room) is is_below
    if is_below:
        assert not admits(Ledger(policy, promised), NOTHING, room)
        capacity = Ledger(policy, promised).capacity(room)
        assert capacity.admissible_thin_bytes == capacity.admissible_thick_bytes == 0


def test_thick_must_fit_into_what_is_free_now() -> None:
    room = Room(total_bytes=100 * GIB, free_bytes=30 * GIB)
    assert not admits(Ledger(EVEN, NOTHING), thick(31 * GIB), room)
    assert admits(Ledger(EVEN, NOTHING), thick(30 * GIB), room)
    assert admits(Ledger(EVEN, NOTHING), thin(100 * GIB), room)


def test_thin_may_promise_the_ratio_of_what_thick_leaves() -> None:
    policy = Policy.of(thin_ratio=2.5, reserve_percent=10)
    ledger = Ledger(policy, thick(50 * GIB))
    assert ledger.capacity(ROOM).admissible_thin_bytes == 100 * GIB
    assert admits(ledger, thin(100 * GIB), ROOM)
    assert not admits(ledger, thin(MIB), ROOM)


def test_thick_leaves_the_thin_their_share() -> None:
    """One law for both: what thin ones were promised by the ratio cannot be given away later."""
    ledger = Ledger(Policy(400, 0), thin(200 * GIB))
    assert ledger.capacity(ROOM).admissible_thick_bytes == 50 * GIB


def test_failed_work_gives_its_room_back() -> None:
    ledger = Ledger(EVEN, NOTHING)
    with pytest.raises(RuntimeError), ledger.reserved(thick(100 * GIB), lambda: ROOM):
        raise RuntimeError
    assert ledger.promised == NOTHING
    assert admits(ledger, thick(100 * GIB), ROOM)
    ledger.give_back(thick(100 * GIB))
    assert ledger.promised == NOTHING


def test_thick_work_under_way_counts_against_what_is_free() -> None:
    """Its blocks are not allocated yet, so the file system still shows them as free."""
    room = Room(total_bytes=100 * GIB, free_bytes=30 * GIB)
    ledger = Ledger(EVEN, NOTHING)
    with ledger.reserved(thick(20 * GIB), lambda: room):
        assert not admits(ledger, thick(11 * GIB), room)
        assert ledger.capacity(room).admissible_thick_bytes == 10 * GIB
    assert ledger.capacity(room).admissible_thick_bytes == 30 * GIB


def test_two_at_once_cannot_both_take_the_last_room() -> None:
    ledger, barrier = Ledger(EVEN, NOTHING), threading.Barrier(8)

    def take(_: int) -> bool:
        barrier.wait()
        return admits(ledger, thick(60 * GIB), ROOM)

    with ThreadPoolExecutor(8) as executor:
        assert sum(executor.map(take, range(8))) == 1


@pytest.mark.parametrize(
    ("is_thick", "of_dataset", "of_snapshot"),
    [(True, Claim(thick_bytes=GIB), Claim(thick_bytes=GIB)), (False, thin(GIB), NOTHING)],
)
def test_claim_of_objects(*, is_thick: bool, of_dataset: Claim, of_snapshot: Claim) -> None:
    """Thick snapshots count in full, thin ones not at all; see the module for the reasons."""
    dataset = Dataset("v/a", UID, DatasetKind.ZVOL, GIB, is_thick=is_thick, created_ns=1)
    snapshot = DatasetSnapshot("v/a@s", UID, DatasetKind.ZVOL, GIB, is_thick, created_ns=1)
    assert Claim.of(dataset) == of_dataset
    assert Claim.of(snapshot) == of_snapshot


@pytest.mark.parametrize(("ratio", "reserve"), [(0.99, 5), (0.0, 5), (4.0, -1), (4.0, 51)])
def test_policy_that_makes_no_sense_is_refused(ratio: float, reserve: int) -> None:
    with pytest.raises(InvalidPolicyError):
        Policy.of(thin_ratio=ratio, reserve_percent=reserve)
