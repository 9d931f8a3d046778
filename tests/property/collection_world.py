"""What a world of the collection's model is made of: the storage, writers and collectors."""

from enum import IntEnum, auto
from typing import NamedTuple

Packs = frozenset[int]
NONE: Packs = frozenset()


class Rules(NamedTuple):
    """What the protocol demands; a test leaves one out and must find a loss."""

    # A writer reads the epoch again behind making its session, and starts over if it changed.
    reads_epoch_again: bool = True
    # A collector lets every session of an older epoch end before it looks again.
    waits_for_older_sessions: bool = True
    # A commit replaces the open session that the writer knows, or fails.
    commits_by_swap: bool = True
    # A pack never has the name of an earlier one.
    names_are_unique: bool = True
    # A collector follows the roots again behind the wait.
    marks_again: bool = True
    # Of a needed chunk that is only in condemned packs one is spared.
    spares_one_of_several: bool = True
    # What is deleted is fixed by compare-and-swap before the first pack goes.
    dooms_by_swap: bool = True
    # A writer takes no pack for there that is condemned or doomed.
    does_without_condemned: bool = True
    # A writer trusts the listing that it made itself, not a cache that others fill too.
    trusts_own_listing: bool = True
    # Who takes over a manifest while packs are condemned condemns them anew, in a next epoch.
    condemns_anew: bool = True
    # Who takes over a manifest looks whether it is there behind the begin of the session.
    looks_at_base_in_session: bool = True
    # The journal says that a manifest is deleted, even while its object is there.
    believes_journal: bool = True


class Bounds(NamedTuple):
    """How far the search goes."""

    writers: int = 1
    collectors: int = 1
    packs: int = 3
    epoch: int = 4
    attempts: int = 2


class Phase(IntEnum):
    """Of the epoch."""

    IDLE = auto()
    CONDEMNED = auto()
    DOOMED = auto()


class Epoch(NamedTuple):
    """The collector's object."""

    number: int
    phase: Phase
    packs: Packs


class SessionState(IntEnum):
    """Of the session of a writer."""

    NONE = auto()
    OPEN = auto()
    FENCED = auto()


class Manifests(NamedTuple):
    """Whether there are any.  Deleting has two steps: the journal's entry, then the object."""

    is_any_live: bool = True
    is_any_journaled_deleted: bool = False


class WriterAt(IntEnum):
    """The step that a writer does next."""

    READ_EPOCH = auto()
    MAKE_SESSION = auto()
    READ_EPOCH_AGAIN = auto()
    LIST_PACKS = auto()
    FILL_CACHE = auto()
    STORE = auto()
    TAKE_OVER = auto()
    COMMIT = auto()


class Writer(NamedTuple):
    """One writer: what it read and how often it began."""

    at: WriterAt = WriterAt.READ_EPOCH
    epoch: int = -1
    session: SessionState = SessionState.NONE
    without: Packs = NONE
    known: Packs = NONE
    takes_over: bool = False
    attempt: int = 0


class CollectorAt(IntEnum):
    """The step that a collector does next."""

    READ_EPOCH = auto()
    LIST_PACKS = auto()
    CONDEMN = auto()
    COPY = auto()
    WAIT = auto()
    MARK = auto()
    LIST_AGAIN = auto()
    DOOM = auto()
    DELETE = auto()
    CLEAR = auto()


class Collector(NamedTuple):
    """One collector: the epoch that it works in, and the packs that it is about."""

    at: CollectorAt = CollectorAt.READ_EPOCH
    epoch: int = -1
    packs: Packs = NONE
    is_needed: bool = False


class World(NamedTuple):
    """All that there is: the storage, then the clients.

    `left_open` has the epochs of the open sessions whose writers ended.
    """

    packs: Packs
    named_packs: int
    epoch: Epoch
    manifests: Manifests
    left_open: frozenset[int]
    cache: Packs
    writers: tuple[Writer, ...]
    collectors: tuple[Collector, ...]

    def is_whole(self) -> bool:
        """Whether every manifest that is not deleted has its chunk."""
        return bool(self.packs) or not self.manifests.is_any_live

    def with_writer(self, index: int, writer: Writer) -> "World":
        """The world after a step of a writer."""
        writers = self.writers
        return self._replace(writers=(*writers[:index], writer, *writers[index + 1 :]))

    def with_collector(self, index: int, collector: Collector) -> "World":
        """The world after a step of a collector."""
        collectors = self.collectors
        return self._replace(collectors=(*collectors[:index], collector, *collectors[index + 1 :]))

    def with_pack(self, name: int) -> "World":
        """The world with one more pack."""
        return self._replace(packs=self.packs | {name}, named_packs=max(self.named_packs, name + 1))

    def with_epoch(self, phase: Phase, packs: Packs) -> "World":
        """The world after a change of the epoch."""
        return self._replace(epoch=Epoch(self.epoch.number + 1, phase, packs))
