"""Paging by tokens that stay good while entries come and go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csi_zfs.domain.errors import OperationPendingError
from csi_zfs.domain.ids import SnapshotId, VolumeId
from csi_zfs.services.listing import BadTokenError, SortedIds, check_token

VOLUME_ID = VolumeId("00000000000000fa", "pvc-1", "0000000000000001")
SNAPSHOT_ID = SnapshotId("00000000000000fa", "pvc-1", "0000000000000001")

texts = st.sets(st.sampled_from([f"id-{i:02}" for i in range(30)]))
changes = st.lists(st.tuples(st.booleans(), st.sampled_from([f"id-{i:02}" for i in range(30)])))


@given(texts, st.integers(0, 7))
def test_pages_together_are_all_ids_in_order(ids: set[str], max_entries: int) -> None:
    listed, token = list[str](), ""
    sorted_ids = SortedIds(ids)
    while True:
        page, token = sorted_ids.page(after=token, max_entries=max_entries)
        assert not max_entries or len(page) <= max_entries
        listed += page
        if not token:
            break
    assert listed == sorted(ids)


@given(texts, st.lists(changes, min_size=1, max_size=5), st.integers(1, 4))
def test_listing_while_ids_come_and_go_shows_each_that_stays_once(
    ids: set[str], rounds: list[list[tuple[bool, str]]], max_entries: int
) -> None:
    """rules.md D: a token is good whether its id still exists or not."""
    sorted_ids, now = SortedIds(ids), set(ids)
    always, ever, listed, token = set(ids), set(ids), list[str](), ""
    for number in range(100):
        page, token = sorted_ids.page(after=token, max_entries=max_entries)
        listed += page
        if not token:
            break
        for is_added, text in rounds[number] if number < len(rounds) else ():
            (sorted_ids.add if is_added else sorted_ids.discard)(text)
            (now.add if is_added else now.discard)(text)
            always &= now
            ever |= now
    assert not token
    assert len(listed) == len(set(listed))
    assert always <= set(listed) <= ever
    assert len(sorted_ids) == len(now)


def test_token_is_empty_where_a_page_is_full_and_nothing_follows() -> None:
    assert SortedIds(["a", "b"]).page(after="", max_entries=2) == (["a", "b"], "")


def test_id_that_is_added_twice_is_there_once() -> None:
    sorted_ids = SortedIds(["b"])
    for text in ("a", "a", "b", "c"):
        sorted_ids.add(text)
    sorted_ids.discard("x")
    assert sorted_ids.page(after="", max_entries=0) == (["a", "b", "c"], "")


def test_token_of_ours_is_taken_and_none_begins_at_the_start() -> None:
    assert check_token("", VolumeId) == ""
    assert check_token(str(VOLUME_ID), VolumeId) == str(VOLUME_ID)
    assert check_token(str(SNAPSHOT_ID), SnapshotId) == str(SNAPSHOT_ID)


@pytest.mark.parametrize("token", ["1", "../x", str(SNAPSHOT_ID), f"{VOLUME_ID}\n", "x" * 10_000])
def test_token_of_somebody_else_is_refused(token: str) -> None:
    """rules.md D: a bad starting_token is ABORTED."""
    with pytest.raises(BadTokenError, match="list again") as caught:
        check_token(token, VolumeId)
    assert isinstance(caught.value, OperationPendingError)
