"""Names become paths only inside the grammar."""

from pathlib import Path

import pytest

from csi_zfs.datasets.names import (
    InvalidNameError,
    dataset_of,
    deferred_snapshot_leaf,
    ephemeral_of,
    leaf_of,
    snapshot_of,
    tombstone_of,
)
from csi_zfs.reflink.layout import Layout

LAYOUT = Layout(Path("/pool"))
UID = "0123456789abcdef"


@pytest.mark.parametrize(
    "name",
    ["v/a", "v/9._-x", dataset_of(leaf_of("Ä/../" * 20)), tombstone_of(UID), ephemeral_of("csi-1")],
)
def test_layout_of_dataset_is_a_directory_of_its_name(name: str) -> None:
    assert LAYOUT.dataset(name) == LAYOUT.object(name) == Path("/pool") / name


@pytest.mark.parametrize("leaf", ["s", deferred_snapshot_leaf(UID)])
def test_layout_of_snapshot_lies_in_its_dataset(leaf: str) -> None:
    """A rename of the dataset carries its snapshots along."""
    name = snapshot_of("v/a", leaf)
    assert LAYOUT.snapshot(name) == LAYOUT.object(name) == Path(f"/pool/v/a/@{leaf}")


@pytest.mark.parametrize(
    "name",
    [
        *("", "a", "v", "v/", "/v/a", "w/a", "v/a/b", "v/.", "v/..", "v/.a", "v/-a", "v/_a"),
        *("v/../t/x", "v/a\n", "v/a\0", "v/a b", "v/ä", "v/" + "a" * 65, "v/a%", "v/a,b"),
    ],
)
def test_layout_refuses_names_that_are_no_datasets(name: str) -> None:
    """rules.md C1."""
    with pytest.raises(InvalidNameError):
        LAYOUT.dataset(name)


@pytest.mark.parametrize(
    "name", ["v/a", "v/a@", "@s", "v/a@..", "v/a@b/c", "v/a@b@c", "v/../x@s", "v/a@b\n", "v/@s"]
)
def test_layout_refuses_names_that_are_no_snapshots(name: str) -> None:
    """rules.md C1."""
    with pytest.raises(InvalidNameError):
        LAYOUT.snapshot(name)
