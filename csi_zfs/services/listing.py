"""Paging by stable tokens.

A token is the id of the last entry of the page before.  It stays good while entries come and go:
the next page begins behind where that id sorts, whether it still exists or not.
"""

import bisect
from collections.abc import Iterable

from csi_zfs.domain.errors import OperationPendingError
from csi_zfs.domain.ids import InvalidIdError, SnapshotId, VolumeId


class BadTokenError(OperationPendingError):
    """The starting_token is not one of ours.

    Begin the listing again without one (CSI asks for ABORTED here).
    """


class SortedIds:
    """Ids as text, in order.  Not thread-safe."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        """Take the ids to begin with."""
        self._ids = sorted(ids)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._ids)

    def add(self, text: str) -> None:
        """Put one in its place; one that is there already stays."""
        at = bisect.bisect_left(self._ids, text)
        if at == len(self._ids) or self._ids[at] != text:
            self._ids.insert(at, text)

    def discard(self, text: str) -> None:
        """Take one out; a missing one is no error."""
        at = bisect.bisect_left(self._ids, text)
        if at < len(self._ids) and self._ids[at] == text:
            del self._ids[at]

    def page(self, *, after: str, max_entries: int) -> tuple[list[str], str]:
        """Up to `max_entries` ids that sort behind `after`, and the token of the page behind them.

        With 0 for `max_entries` it is all of them.
        """
        begin = bisect.bisect_right(self._ids, after) if after else 0
        end = begin + max_entries if max_entries else len(self._ids)
        ids = self._ids[begin:end]
        return ids, ids[-1] if end < len(self._ids) else ""


def check_token(starting_token: str, kind: type[VolumeId | SnapshotId]) -> str:
    """The token itself, if it can be one of ours; raises `BadTokenError`."""
    if not starting_token:
        return ""
    try:
        return str(kind.parse(starting_token))
    except InvalidIdError as exc:
        msg = (
            f"starting_token {starting_token[:128]!r} was not handed out by this driver: "
            "list again from the start"
        )
        raise BadTokenError(msg) from exc
