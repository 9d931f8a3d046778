"""What was asked of the node for each volume, and how it is stored."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csi_zfs.domain.capabilities import FS_TYPES, MOUNT_FLAGS, AccessMode, AccessType
from csi_zfs.domain.capabilities import VolumeCapability as Capability
from csi_zfs.domain.errors import UnavailableError
from csi_zfs.services.node_state import (
    NodeState,
    NodeStateCorruptError,
    Use,
    VolumeState,
    format_state,
    parse_state,
)
from tests.support.state_store import MemoryStateStore

STAGING, TARGET = Path("/k/staging"), Path("/k/target")
WRITER = Use(Capability(AccessMode.SINGLE_NODE_WRITER, AccessType.MOUNT, "ext4", ("noatime",)))
STATE = VolumeState("volume-1", "v/pvc-1", {STAGING: WRITER}, {TARGET: WRITER}, is_attached=True)
IDLE = VolumeState("volume-1", "v/pvc-1")

capabilities = st.builds(
    Capability,
    st.sampled_from(AccessMode),
    st.sampled_from(AccessType),
    st.sampled_from(["", *FS_TYPES]),
    st.lists(st.sampled_from(sorted(MOUNT_FLAGS)), max_size=3).map(tuple),
)
uses = st.builds(Use, capabilities, is_read_only=st.booleans())
names = st.text(st.characters(exclude_characters="\0"), min_size=1)
uses_by_path = st.dictionaries(names.map(lambda name: Path("/k") / name), uses, max_size=3)
states = st.builds(VolumeState, names, names, uses_by_path, uses_by_path, st.booleans())


@given(states)
def test_state_is_read_back(state: VolumeState) -> None:
    assert parse_state("key", format_state(state)) == state


def documents() -> list[bytes]:
    """A good document with each part missing, or of another type."""
    good = json.loads(format_state(STATE))
    broken = [b"", b"{", b"[]", b"null", b'"text"', b"\xff"]
    for key in ("volume_id", "dataset_name", "is_attached", "staged", "published"):
        broken.append(json.dumps({name: good[name] for name in good if name != key}).encode())
        broken.append(json.dumps({**good, key: 7}).encode())
    use = good["staged"][str(STAGING)]
    wrong = [
        use | change for change in ({"access_mode": "MANY"}, {"access_type": 1}, {"fs_type": 0})
    ]
    staged = [{str(STAGING): one} for one in ({}, *wrong)]
    return broken + [json.dumps({**good, "staged": one}).encode() for one in staged]


@pytest.mark.parametrize("document", documents())
def test_damaged_document_is_refused(document: bytes) -> None:
    with pytest.raises(NodeStateCorruptError, match="key-1"):
        parse_state("key-1", document)


def test_saved_state_is_there_after_a_restart() -> None:
    store = MemoryStateStore()
    NodeState(store).save(STATE)
    again = NodeState(store)
    assert list(again) == [STATE]
    assert again.find("volume-1") == STATE
    assert again.find("volume-2") is None


@pytest.mark.expected_logs("node state volume-1 cannot be read")
def test_damaged_document_costs_only_itself() -> None:
    """rules.md B8: the driver starts, and knows the rest."""
    store = MemoryStateStore()
    store.save("volume-1", b"{")
    store.save("volume-2", format_state(VolumeState("volume-2", "v/2", is_attached=True)))
    assert [state.volume_id for state in NodeState(store)] == ["volume-2"]


def test_state_that_holds_nothing_any_more_is_forgotten() -> None:
    store = MemoryStateStore()
    node_state = NodeState(store)
    node_state.save(STATE)
    node_state.save(IDLE)
    node_state.save(IDLE)
    assert store.documents == {}
    assert list(node_state) == []


def test_state_that_is_known_is_not_written_again() -> None:
    effects: list[str] = []
    node_state = NodeState(MemoryStateStore(effects=effects.append))
    node_state.save(STATE)
    node_state.save(STATE)
    assert effects == ["state.save:before", "state.save:after"]


def test_path_belongs_to_the_volume_that_is_staged_or_published_there() -> None:
    node_state = NodeState(MemoryStateStore())
    node_state.save(STATE)
    assert node_state.owner_of(STAGING) == node_state.owner_of(TARGET) == "volume-1"
    assert node_state.owner_of(Path("/k/other")) == ""


def test_path_below_one_of_a_volume_belongs_to_it() -> None:
    """rules.md C1: nothing is made or mounted in what a workload keeps there."""
    node_state = NodeState(MemoryStateStore())
    node_state.save(STATE)
    assert node_state.owner_of(TARGET / "in" / "it") == "volume-1"
    assert node_state.owner_of(TARGET.parent) == ""
    assert node_state.owner_of(TARGET.with_name(f"{TARGET.name}-not")) == ""


def refuse(_point: str) -> None:
    raise UnavailableError("the disk is full")


@pytest.mark.expected_logs("node state of volume volume-1 is not written")
@pytest.mark.parametrize(
    "less", [IDLE, replace(STATE, published={}), replace(STATE, staged={}, is_attached=False)]
)
def test_state_that_says_less_is_remembered_though_it_cannot_be_written(less: VolumeState) -> None:
    """rules.md B5: a full disk keeps no workload from ending."""
    store = MemoryStateStore()
    node_state = NodeState(store)
    node_state.save(STATE)
    store.effects = refuse
    node_state.save(less)
    assert (node_state.find("volume-1") or IDLE) == less


def test_state_that_says_more_is_refused_where_it_cannot_be_written() -> None:
    """The mount is made only after its document: too much knowledge, never too little."""
    node_state = NodeState(MemoryStateStore(effects=refuse))
    with pytest.raises(UnavailableError, match="full"):
        node_state.save(STATE)
    assert node_state.find("volume-1") is None
