"""A model of the collection's protocol, and the search through all of its interleavings.

There is one chunk.  Packs are numbers, every one of them holds the chunk.  A manifest needs the
chunk, from whatever pack there is.  Writers store it or take over a whole manifest (a clone, or an
incremental backup); collectors condemn and delete packs; users delete manifests.  Each client can
stand still at every step for as long as the others like, and end there (a crash): its session stays
behind, and it begins again.  A lease may lapse at any time, so no clock is trusted.

What the first listing of a collection finds is not in the model: it may condemn any packs at all.
So nothing depends on that, neither on its order nor on which packs are repacked.  A session that is
open makes collectors wait, and every rule that `Rules` names can be left out.
"""

from collections import deque
from collections.abc import Iterator
from itertools import chain, combinations
from typing import NamedTuple

from tests.property.collection_world import (
    NONE,
    Bounds,
    Collector,
    CollectorAt,
    Epoch,
    Manifests,
    Packs,
    Phase,
    Rules,
    SessionState,
    World,
    Writer,
    WriterAt,
)


class Found(NamedTuple):
    """The end of a search: the worlds on the way to a loss, none where there is no loss."""

    worlds: int
    way: list[World]


def explore(rules: Rules, bounds: Bounds) -> Found:
    """Every world that can be, the nearest first, until one has lost something."""
    first = World(
        packs=frozenset([0]),
        named_packs=1,
        epoch=Epoch(0, Phase.IDLE, NONE),
        manifests=Manifests(),
        left_open=frozenset(),
        cache=frozenset([0]),
        writers=(Writer(),) * bounds.writers,
        collectors=(Collector(),) * bounds.collectors,
    )
    steps = _Steps(rules, bounds)
    before: dict[World, World | None] = {first: None}
    pending = deque([first])
    while pending:
        world = pending.popleft()
        for following in steps.after(world):
            # Clients of one kind are alike: which of them is where makes no difference.
            after = following._replace(
                writers=tuple(sorted(following.writers, key=hash)),
                collectors=tuple(sorted(following.collectors, key=hash)),
            )
            if after in before:
                continue
            before[after] = world
            if not after.is_whole():
                return Found(len(before), _way(after, before))
            pending.append(after)
    return Found(len(before), [])


def _way(world: World | None, before: dict[World, World | None]) -> list[World]:
    way: list[World] = []
    while world is not None:
        way.append(world)
        world = before[world]
    return way[::-1]


class _Steps:
    """What can happen next in a world."""

    def __init__(self, rules: Rules, bounds: Bounds) -> None:
        self._rules = rules
        self._bounds = bounds
        self._writer_steps = {
            WriterAt.READ_EPOCH: self._begin,
            WriterAt.MAKE_SESSION: self._make_session,
            WriterAt.READ_EPOCH_AGAIN: self._read_again,
            WriterAt.LIST_PACKS: self._list,
            WriterAt.FILL_CACHE: self._fill_cache,
            WriterAt.STORE: self._store,
            WriterAt.TAKE_OVER: self._take_over,
            WriterAt.COMMIT: self._commit,
        }
        self._collector_steps = {
            CollectorAt.READ_EPOCH: self._resume,
            CollectorAt.LIST_PACKS: self._choose,
            CollectorAt.COPY: self._copy,
            CollectorAt.CONDEMN: self._condemn,
            CollectorAt.WAIT: self._wait,
            CollectorAt.MARK: self._mark,
            CollectorAt.LIST_AGAIN: self._list_again,
            CollectorAt.DOOM: self._doom,
            CollectorAt.DELETE: self._delete,
            CollectorAt.CLEAR: self._clear,
        }

    def after(self, world: World) -> Iterator[World]:
        yield from _deleted(world)
        for index, writer in enumerate(world.writers):
            yield from self._writer_steps[writer.at](world, index, writer)
            if writer.at is not WriterAt.READ_EPOCH:
                yield _crashed(world, index, writer)
        for index, collector in enumerate(world.collectors):
            yield from self._collector_steps[collector.at](world, index, collector)
            if collector.at is not CollectorAt.READ_EPOCH:
                yield world.with_collector(index, Collector())

    def _begin(self, world: World, index: int, writer: Writer) -> Iterator[World]:
        """Two kinds of writers; one that looks at its base too early does it here."""
        if writer.attempt == self._bounds.attempts:
            return
        without = world.epoch.packs if self._rules.does_without_condemned else NONE
        begun = writer._replace(at=WriterAt.MAKE_SESSION, epoch=world.epoch.number)
        yield world.with_writer(
            index, begun if writer.takes_over else begun._replace(without=without)
        )
        if self._rules.looks_at_base_in_session:
            yield world.with_writer(index, begun._replace(takes_over=True))
        elif self._has_base(world):
            yield world.with_writer(index, writer._replace(takes_over=True))

    def _has_base(self, world: World) -> bool:
        live, journaled_deleted = world.manifests
        return live or (journaled_deleted and not self._rules.believes_journal)

    def _make_session(self, world: World, index: int, writer: Writer) -> Iterator[World]:
        made = writer._replace(at=WriterAt.READ_EPOCH_AGAIN, session=SessionState.OPEN)
        yield world.with_writer(index, made)

    def _read_again(self, world: World, index: int, writer: Writer) -> Iterator[World]:
        if self._rules.reads_epoch_again and world.epoch.number != writer.epoch:
            yield world.with_writer(index, Writer(attempt=writer.attempt))
        elif writer.takes_over:
            yield self._condemned_anew(world, index, writer)
        else:
            yield world.with_writer(index, writer._replace(at=WriterAt.LIST_PACKS))

    def _condemned_anew(self, world: World, index: int, writer: Writer) -> World:
        if self._rules.condemns_anew and world.epoch.phase is Phase.CONDEMNED:
            world = world.with_epoch(Phase.CONDEMNED, world.epoch.packs)
        in_session = self._rules.looks_at_base_in_session
        at = WriterAt.TAKE_OVER if in_session else WriterAt.COMMIT
        return world.with_writer(index, writer._replace(at=at))

    def _list(self, world: World, index: int, writer: Writer) -> Iterator[World]:
        at = WriterAt.STORE if self._rules.trusts_own_listing else WriterAt.FILL_CACHE
        yield world.with_writer(index, writer._replace(at=at, known=world.packs))

    def _fill_cache(self, world: World, index: int, writer: Writer) -> Iterator[World]:
        filled = writer._replace(at=WriterAt.STORE, known=NONE)
        yield world._replace(cache=writer.known).with_writer(index, filled)

    def _take_over(self, world: World, index: int, writer: Writer) -> Iterator[World]:
        if self._has_base(world):
            yield world.with_writer(index, writer._replace(at=WriterAt.COMMIT))

    def _store(self, world: World, index: int, writer: Writer) -> Iterator[World]:
        stored = writer._replace(at=WriterAt.COMMIT, known=NONE)
        there = writer.known if self._rules.trusts_own_listing else world.cache
        if there - writer.without:
            yield world.with_writer(index, stored)
            return
        name = world.named_packs if self._rules.names_are_unique else 0
        if name < self._bounds.packs:
            yield world.with_pack(name).with_writer(index, stored)

    def _commit(self, world: World, index: int, writer: Writer) -> Iterator[World]:
        if writer.session is SessionState.OPEN or not self._rules.commits_by_swap:
            world = world._replace(manifests=world.manifests._replace(is_any_live=True))
        yield world.with_writer(index, Writer(attempt=writer.attempt + 1))

    def _resume(self, world: World, index: int, _: Collector) -> Iterator[World]:
        if world.epoch.number < self._bounds.epoch:
            yield world.with_collector(index, _resumed(world.epoch))

    def _choose(self, world: World, index: int, collector: Collector) -> Iterator[World]:
        """The packs that are to go, and whether the chunk is copied before that (repacking)."""
        for some in _subsets(world.packs):
            for at in (CollectorAt.CONDEMN, CollectorAt.COPY):
                yield world.with_collector(index, collector._replace(at=at, packs=some))

    def _copy(self, world: World, index: int, collector: Collector) -> Iterator[World]:
        """Behind the marking by which the chunk is needed; it is read from a pack that goes."""
        if not collector.packs <= world.packs or world.named_packs >= self._bounds.packs:
            return
        copied = world.with_pack(world.named_packs)
        yield copied.with_collector(index, collector._replace(at=CollectorAt.CONDEMN))

    def _condemn(self, world: World, index: int, collector: Collector) -> Iterator[World]:
        if world.epoch.number == collector.epoch:
            waiting = Collector(CollectorAt.WAIT, collector.epoch + 1, collector.packs)
            condemned = world.with_epoch(Phase.CONDEMNED, collector.packs)
            yield condemned.with_collector(index, waiting)
        else:
            yield world.with_collector(index, Collector())

    def _wait(self, world: World, index: int, collector: Collector) -> Iterator[World]:
        older = [epoch for epoch in world.left_open if epoch < collector.epoch]
        alive = [
            number
            for number, writer in enumerate(world.writers)
            if writer.session is SessionState.OPEN and writer.epoch < collector.epoch
        ]
        if not (older or alive) or not self._rules.waits_for_older_sessions:
            yield world.with_collector(index, collector._replace(at=CollectorAt.MARK))
        if older:
            yield world._replace(left_open=world.left_open - set(older))
        for number in alive:
            fenced = world.writers[number]._replace(session=SessionState.FENCED)
            yield world.with_writer(number, fenced)

    def _mark(self, world: World, index: int, collector: Collector) -> Iterator[World]:
        is_needed = world.manifests.is_any_live and self._rules.marks_again
        marked = collector._replace(at=CollectorAt.LIST_AGAIN, is_needed=is_needed)
        yield world.with_collector(index, marked)

    def _list_again(self, world: World, index: int, collector: Collector) -> Iterator[World]:
        for spared in self._spared(world, collector):
            going = collector.packs - spared
            doomed = Collector(CollectorAt.DOOM, collector.epoch, going)
            yield world.with_collector(index, doomed)

    def _spared(self, world: World, collector: Collector) -> Iterator[Packs]:
        """What is spared of the condemned packs: one of them, if the chunk is only there."""
        has_others = bool(world.packs - collector.packs)
        if not collector.is_needed or has_others or not self._rules.spares_one_of_several:
            yield NONE
            return
        for pack in world.packs & collector.packs:
            yield frozenset([pack])

    def _doom(self, world: World, index: int, collector: Collector) -> Iterator[World]:
        deleting = collector._replace(at=CollectorAt.DELETE)
        if not self._rules.dooms_by_swap:
            yield world.with_collector(index, deleting)
        elif world.epoch.number != collector.epoch:
            yield world.with_collector(index, Collector())
        else:
            deleting = deleting._replace(epoch=collector.epoch + 1)
            doomed = world.with_epoch(Phase.DOOMED, collector.packs)
            yield doomed.with_collector(index, deleting)

    def _delete(self, world: World, index: int, collector: Collector) -> Iterator[World]:
        going = world.packs & collector.packs
        for pack in going:
            yield world._replace(packs=world.packs - {pack})
        if not going:
            clearing = Collector(CollectorAt.CLEAR, collector.epoch)
            yield world.with_collector(index, clearing)

    def _clear(self, world: World, index: int, collector: Collector) -> Iterator[World]:
        idle = world.with_collector(index, Collector())
        is_mine = world.epoch.number == collector.epoch
        yield idle.with_epoch(Phase.IDLE, NONE) if is_mine else idle


def _resumed(epoch: Epoch) -> Collector:
    match epoch.phase:
        case Phase.IDLE:
            return Collector(CollectorAt.LIST_PACKS, epoch.number)
        case Phase.CONDEMNED:
            return Collector(CollectorAt.WAIT, epoch.number, epoch.packs)
        case Phase.DOOMED:
            return Collector(CollectorAt.DELETE, epoch.number, epoch.packs)


def _deleted(world: World) -> Iterator[World]:
    """All manifests at once, since one that is left needs the chunk as all of them do."""
    live, journaled_deleted = world.manifests
    if live:
        deleted = Manifests(is_any_live=False, is_any_journaled_deleted=True)
        yield world._replace(manifests=deleted)
    if journaled_deleted:
        yield world._replace(manifests=Manifests(is_any_live=live))


def _crashed(world: World, index: int, writer: Writer) -> World:
    """A writer that ended, and another one in its place; an open session stays behind."""
    if writer.session is SessionState.OPEN:
        world = world._replace(left_open=world.left_open | {writer.epoch})
    return world.with_writer(index, Writer(attempt=writer.attempt + 1))


def _subsets(packs: Packs) -> Iterator[Packs]:
    every = sorted(packs)
    sizes = range(1, len(every) + 1)
    return map(frozenset, chain.from_iterable(combinations(every, size) for size in sizes))
