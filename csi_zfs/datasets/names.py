"""How datasets and snapshots are named below a pool's parent.

`v/<leaf>` is a volume, `v/<leaf>@<leaf>` its snapshot.  A caller's leaf begins with a lower-case
letter or a digit; names of our own making begin with an upper-case letter, so that no caller can
ask for one.
"""

import re

from csi_zfs.domain.errors import InvalidRequestError
from csi_zfs.domain.ids import LEAF_PATTERN
from csi_zfs.system.digest import hex_digest_of

VOLUMES = "v"
# The last part of any name on a pool, of a caller's or of our own making.
OBJECT_LEAF_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
HASHED_LEAF_HEX_DIGITS = 32

_PLAIN_LEAF = re.compile(LEAF_PATTERN, re.ASCII)
_TOMBSTONE = re.compile(r"v/D-[0-9a-f]{16}", re.ASCII)
_EPHEMERAL = re.compile(r"v/E-[0-9a-f]{32}", re.ASCII)


class InvalidNameError(InvalidRequestError):
    """The text is not the name of a dataset or snapshot that a pool could hold."""


def leaf_of(csi_name: str) -> str:
    """The leaf for a CSI name: the name where the grammar allows it, else `h-` and a digest.

    Always the same.
    """
    if _PLAIN_LEAF.fullmatch(csi_name) and not csi_name.startswith("h-"):
        return csi_name
    return "h-" + hex_digest_of(csi_name.encode())[:HASHED_LEAF_HEX_DIGITS]


def dataset_of(leaf: str) -> str:
    """The dataset name of a volume's leaf."""
    return f"{VOLUMES}/{leaf}"


def snapshot_of(dataset_name: str, leaf: str) -> str:
    """The name of a dataset's snapshot."""
    return f"{dataset_name}@{leaf}"


def split_snapshot(snapshot_name: str) -> tuple[str, str]:
    """The dataset name and the leaf of a snapshot's name."""
    dataset_name, _, leaf = snapshot_name.partition("@")
    return dataset_name, leaf


def leaf_of_dataset(dataset_name: str) -> str:
    """The leaf of a dataset's name."""
    return dataset_name.removeprefix(f"{VOLUMES}/")


def tombstone_of(uid: str) -> str:
    """Where a deleted volume waits for its last snapshot or clone to go."""
    return f"{VOLUMES}/D-{uid}"


def is_tombstone(dataset_name: str) -> bool:
    """Whether the dataset is a deleted volume."""
    return _TOMBSTONE.fullmatch(dataset_name) is not None


def ephemeral_of(ephemeral_id: str) -> str:
    """The dataset behind an inline ephemeral volume.

    A function of the kubelet's id alone, so that a crash loses nothing.
    """
    return f"{VOLUMES}/E-{hex_digest_of(ephemeral_id.encode())[:HASHED_LEAF_HEX_DIGITS]}"


def is_ephemeral(dataset_name: str) -> bool:
    """Whether the dataset stands for an inline ephemeral volume."""
    return _EPHEMERAL.fullmatch(dataset_name) is not None


def deferred_snapshot_leaf(uid: str) -> str:
    """The leaf of a deleted snapshot that clones still need."""
    return f"D-{uid}"


def is_deferred_snapshot(snapshot_name: str) -> bool:
    """Whether the snapshot's name is one of our own making.

    Deleted for callers, kept for clones.
    """
    return split_snapshot(snapshot_name)[1].startswith("D-")
