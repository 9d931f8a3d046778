"""Collection: packs that nothing needs go, while writers go on, and without trusting any clock.

One cycle, whose phase is in the collector's epoch (epochs.py), so that whoever comes next resumes:

1. List the packs, then follow all roots.  What no root needs is a candidate; packs with little that
   is needed are copied, in a session of their own, and become candidates too.
2. Condemn the candidates: the next epoch names them, and sessions that begin now do without.
3. Wait until every session of an older epoch has ended, or fence it once it seems dead.
   Who takes over a manifest's chunks unseen condemns the same packs anew, and is waited for too.
4. Follow all roots again: a candidate that one of those sessions needs is spared.
5. Doom the rest by compare-and-swap, which fixes it for every collector.
6. Delete it.
7. Clear the epoch.

Whatever cannot be read ends the cycle before anything more is deleted.  The model of this in the
tests explores every interleaving, and finds a loss when one of the rules is left out.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice

from csi_zfs.cas.api import CollectionFailedError, Manifest, ObjectChangedError
from csi_zfs.cas.epochs import ReadEpoch, advance, read_epoch
from csi_zfs.cas.indexing import compact_indexes
from csi_zfs.cas.marking import Marks, mark, needed_places
from csi_zfs.cas.packs import pack_key
from csi_zfs.cas.places import Holding
from csi_zfs.cas.records import SESSIONS, Phase, SessionState
from csi_zfs.cas.repacking import repack
from csi_zfs.cas.sessions import fence, is_lapsed, list_sessions
from csi_zfs.cas.store import Store
from csi_zfs.domain.errors import CorruptionError

# A pack of which less than this share is needed is written anew without the rest.
DEFAULT_LIVE_SHARE = 0.5
_POLL_S = 5.0
# Named in the epoch at once; its object has to stay one that is read.  The next cycle takes more.
_MOST_PACKS = 16_384

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How far a collection goes.

    `patience_s` is how long it waits for sessions of writers that are alive; after that it ends,
    with packs condemned, and the next one resumes.
    """

    live_share: float = DEFAULT_LIVE_SHARE
    patience_s: float = 0.0


@dataclass(slots=True)
class Report:
    """What a collection did.  `waits_for` are the sessions that kept it from its end."""

    deleted_packs: int = 0
    deleted_bytes: int = 0
    repacked_packs: int = 0
    fenced_sessions: int = 0
    waits_for: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Usage:
    """Of one pack: the bytes of its chunks, and those of the chunks that are needed from it."""

    total_bytes: int = 0
    live_bytes: int = 0
    can_move: bool = True


class Collection:
    """One run of a collector over a store."""

    def __init__(self, store: Store, options: Options, tell: Tell) -> None:
        """`tell` is told what is being done, in words."""
        self._store = store
        self._options = options
        self._tell = tell
        self._report = Report()
        self._there: dict[bytes, int] = {}

    def run(self) -> Report:
        """Collect; what an earlier collector left half done is finished first.

        Raises `CollectionFailedError` where something cannot be read, `ObjectChangedError` where
        another collector is at work; both can be repeated.
        """
        idle: ReadEpoch | None = read_epoch(self._store.vault)
        if idle and idle.epoch.phase is not Phase.IDLE:
            self._tell("finishing an earlier collection")
            idle = self._finish(idle)
        while idle and (candidates := self._candidates()):
            self._tell(f"condemning {len(candidates)} packs")
            idle = self._finish(advance(self._store.vault, idle, Phase.CONDEMNED, candidates))
            if len(candidates) < _MOST_PACKS:
                break
        return self._report

    def _finish(self, read: ReadEpoch) -> ReadEpoch | None:
        """From a condemned or doomed set to an idle epoch; nothing where writers keep it.

        The epoch is never read anew for that: another collector may be at work in the next one.
        """
        vault = self._store.vault
        if read.epoch.phase is Phase.CONDEMNED:
            if not self._older_sessions_ended(read.epoch.number):
                return None
            doomed = self._spared(read.epoch.packs)
            try:
                read = advance(vault, read, Phase.DOOMED, doomed)
            except ObjectChangedError:
                return self._finish(self._condemned_anew(read))
        self._delete(read.epoch.packs)
        return advance(vault, read, Phase.IDLE, frozenset())

    def _condemned_anew(self, read: ReadEpoch) -> ReadEpoch:
        """The epoch of a writer that takes over a manifest, and has to be waited for too."""
        again = read_epoch(self._store.vault)
        if (again.epoch.phase, again.epoch.packs) != (Phase.CONDEMNED, read.epoch.packs):
            raise ObjectChangedError("another collection is at work in this store")
        return again

    def _candidates(self) -> frozenset[bytes]:
        store = self._store
        listed = store.refresh()
        with closing(Marks()) as marks:
            self._mark_all(marks)
            self._tell("looking which packs they need")
            usages = self._usages(marks, listed)
            dead = {pack_id for pack_id, usage in usages.items() if not usage.live_bytes}
            victims = {
                pack_id
                for pack_id, usage in usages.items()
                if usage.can_move
                and 0 < usage.live_bytes < usage.total_bytes * self._options.live_share
            }
            # Victims first: their copies are there already.
            going = frozenset(islice(chain(victims, dead), _MOST_PACKS))
            if victims:
                self._tell(f"repacking {len(victims)} packs")
                repack(store, going, marks, listed)
                self._report.repacked_packs += len(victims & going)
        return going

    def _usages(self, marks: Marks, listed: dict[bytes, int]) -> dict[bytes, _Usage]:
        """How much of each pack is needed; a chunk in several packs is needed from one of them."""
        usages = {pack_id: _Usage() for pack_id in listed}
        for _, holdings, is_needed in needed_places(marks, self._store.places, self._there):
            known = [one for one in holdings if one.pack_id in usages]
            for one in known:
                usages[one.pack_id].total_bytes += one.length
            if not is_needed:
                continue
            good = [one for one in known if not one.is_bad]
            if good:
                # The fuller one: so that the other may go.
                best = max(good, key=lambda one: usages[one.pack_id].live_bytes)
                usages[best.pack_id].live_bytes += best.length
            for one in known if not good else ():
                # It may still be mended, or salvaged by hand.
                usages[one.pack_id].live_bytes += one.length
                usages[one.pack_id].can_move = False
        return usages

    def _spared(self, condemned: frozenset[bytes]) -> frozenset[bytes]:
        """What is still not needed of the condemned, after every older session has ended."""
        going = set(condemned)
        with closing(Marks()) as marks:
            self._mark_all(marks)
            for _, holdings, is_needed in needed_places(marks, self._store.places, self._there):
                if is_needed:
                    going.difference_update(_missed(holdings, going))
        return frozenset(going)

    def _mark_all(self, marks: Marks) -> None:
        manifests = self._manifests()
        # Behind the manifests: what a writer committed just now is in packs that are listed.
        self._there = self._store.refresh()
        for number, manifest in enumerate(manifests, 1):
            self._tell(f"following manifest {number}")
            mark(self._store.reader(manifest.domain), manifest, marks)

    def _manifests(self) -> list[Manifest]:
        try:
            return self._store.manifests()
        except CorruptionError as exc:
            raise CollectionFailedError(f"nothing is deleted: {exc}") from exc

    def _older_sessions_ended(self, number: int) -> bool:
        """Wait for the sessions that began before this epoch, and fence those that seem dead."""
        clock = self._store.clock
        deadline_s = clock.monotonic_s() + self._options.patience_s
        while waits_for := list(self._alive_before(number)):
            if clock.monotonic_s() >= deadline_s:
                self._report.waits_for = waits_for
                return False
            self._tell(f"waiting for {len(waits_for)} sessions")
            clock.wait(_POLL_S)
        return True

    def _alive_before(self, number: int) -> Iterator[str]:
        vault, ended = self._store.vault, []
        for session_id, record, tag in list_sessions(vault):
            if record.state is SessionState.ABORTED:
                ended.append(SESSIONS + session_id)
            elif record.state is SessionState.OPEN and record.epoch < number:
                is_dead = is_lapsed(record, self._store.clock.now_ns())
                if is_dead and fence(vault, session_id, record, tag):
                    self._report.fenced_sessions += 1
                else:
                    yield session_id
        vault.storage.delete(ended)

    def _delete(self, packs: frozenset[bytes]) -> None:
        store = self._store
        sizes = store.places.packs()
        there = [pack_id for pack_id in packs if pack_id in sizes]
        if packs:
            self._tell(f"deleting {len(packs)} packs")
            store.vault.storage.delete([pack_key(pack_id) for pack_id in sorted(packs)])
        store.places.forget_packs(packs)
        store.places.forget_gone()
        compact_indexes(store.vault, store.places)
        self._report.deleted_packs += len(there)
        self._report.deleted_bytes += sum(sizes[pack_id] for pack_id in there)


def _missed(holdings: Sequence[Holding], going: set[bytes]) -> list[bytes]:
    """Those of the packs that go without which a chunk would be lost."""
    good = [one.pack_id for one in holdings if not one.is_bad]
    if not good:
        return [one.pack_id for one in holdings if one.pack_id in going]
    return good[:1] if all(pack_id in going for pack_id in good) else []
