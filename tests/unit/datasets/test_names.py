"""How datasets and snapshots are named, by callers and by the driver itself."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from csi_zfs.datasets import names
from csi_zfs.domain.ids import LEAF_PATTERN

UID = "0123456789abcdef"
EPHEMERAL_ID = "csi-" + "a" * 64

csi_names = st.text(min_size=1, max_size=128)


@given(csi_names)
@example("a" * 128)
@example("../../etc/passwd")
@example("v@s")
@example("-rf")
@example("a\0b\n,%")
def test_leaf_of_any_name_is_one_of_the_grammar(csi_name: str) -> None:
    """rules.md C1, D: names of 128 bytes of any characters work, and none reaches a path."""
    leaf = names.leaf_of(csi_name)
    assert re.fullmatch(LEAF_PATTERN, leaf, re.ASCII)
    assert names.leaf_of(csi_name) == leaf


@given(st.from_regex(LEAF_PATTERN, fullmatch=True).filter(str.isascii))
def test_name_of_the_grammar_is_its_own_leaf(csi_name: str) -> None:
    leaf = names.leaf_of(csi_name)
    assert leaf == csi_name or csi_name.startswith("h-")


@given(csi_names, csi_names)
@example("h-" + "0" * 32, "a/b")
def test_different_names_have_different_leaves(one: str, other: str) -> None:
    assert (names.leaf_of(one) == names.leaf_of(other)) is (one == other)


def test_name_that_looks_hashed_is_hashed_again() -> None:
    """Else a caller could ask for the leaf of somebody else's name."""
    hashed = names.leaf_of("a/b")
    assert hashed.startswith("h-")
    assert names.leaf_of(hashed) != hashed


@given(csi_names)
@example("D-" + UID)
@example("E-" + "0" * 32)
def test_no_caller_can_ask_for_a_name_of_our_own_making(csi_name: str) -> None:
    dataset_name = names.dataset_of(names.leaf_of(csi_name))
    assert not names.is_tombstone(dataset_name)
    assert not names.is_ephemeral(dataset_name)
    snapshot_name = names.snapshot_of("v/a", names.leaf_of(csi_name))
    assert not names.is_deferred_snapshot(snapshot_name)


def test_names_of_our_own_making_are_told_apart() -> None:
    tombstone, ephemeral = names.tombstone_of(UID), names.ephemeral_of(EPHEMERAL_ID)
    hidden = names.snapshot_of("v/a", names.deferred_snapshot_leaf(UID))
    assert tombstone == f"v/D-{UID}"
    assert names.is_tombstone(tombstone)
    assert not names.is_ephemeral(tombstone)
    assert names.is_ephemeral(ephemeral)
    assert not names.is_tombstone(ephemeral)
    assert names.is_deferred_snapshot(hidden)


@pytest.mark.parametrize("text", ["v/D-", f"v/D-{UID}0", f"v/D-{UID}\n", f"v/d-{UID}", f"D-{UID}"])
def test_name_that_only_resembles_a_tombstone_is_none(text: str) -> None:
    """rules.md A2."""
    assert not names.is_tombstone(text)


def test_ephemeral_dataset_depends_on_the_id_alone() -> None:
    assert names.ephemeral_of(EPHEMERAL_ID) == names.ephemeral_of(EPHEMERAL_ID)
    assert names.ephemeral_of(EPHEMERAL_ID) != names.ephemeral_of("csi-" + "b" * 64)


def test_names_are_split_as_they_were_put_together() -> None:
    dataset_name = names.dataset_of("pvc-1")
    assert names.leaf_of_dataset(dataset_name) == "pvc-1"
    assert names.split_snapshot(names.snapshot_of(dataset_name, "s")) == (dataset_name, "s")
