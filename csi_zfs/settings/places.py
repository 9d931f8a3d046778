"""Where pools and agents may be: each at one place, and no two at places that touch."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from csi_zfs.settings.document import Keys

POOLS = "pools"
AGENTS = "agents"
SERVICE = "agents_service"
NEEDS = "a name, and a path (an embedded pool) or a dataset (OpenZFS)"


class Mistake(NamedTuple):
    """What is wrong, and at which keys."""

    keys: Keys
    words: str


def place_mistakes(entry: Mapping[str, object], keys: Keys) -> Iterator[Mistake]:
    """What is wrong about where one pool lies; `entry` is what was written."""
    if "path" not in entry and "dataset" not in entry:
        yield Mistake(keys, "needs a path (an embedded pool) or a dataset (OpenZFS)")
    if "path" in entry and "dataset" in entry:
        yield Mistake((*keys, "dataset"), "a pool has a path or a dataset, not both")
    elif "size" in entry and "dataset" in entry:
        yield Mistake(
            (*keys, "size"), "is for a pool with a path; a dataset can have a quota: see `zfs set`"
        )


def shared_mistakes(pools: Sequence[Mapping[str, object]]) -> Iterator[Mistake]:
    """What is wrong about several pools; they hold what could be read of each.

    Of one name they could not be told apart; of one place they would destroy each other.
    """
    for attribute in ("name", "path", "dataset"):
        yield from _repeated(POOLS, pools, attribute)
    yield from _nested(pools)


def agent_mistakes(
    agents: Sequence[Mapping[str, object]], settings: Mapping[str, object]
) -> Iterator[Mistake]:
    """What is wrong about the agents of a router as a whole."""
    if agents and settings.get(SERVICE):
        yield Mistake((AGENTS,), f"are those of {SERVICE} already: leave one of both out")
    if not agents and not settings.get(SERVICE):
        yield Mistake((AGENTS,), f"are missing: name them, or give {SERVICE}")
    for attribute in ("node_id", "address"):
        yield from _repeated(AGENTS, agents, attribute)


def _repeated(
    what: str, entries: Sequence[Mapping[str, object]], attribute: str
) -> Iterator[Mistake]:
    first_of: dict[object, int] = {}
    for index, entry in enumerate(entries):
        if attribute in entry:
            value = entry[attribute]
            first = first_of.setdefault(value, index)
            if first != index:
                words = f"{str(value)!r} is that of {what}[{first}] already"
                yield Mistake((what, index, attribute), words)


def _nested(pools: Sequence[Mapping[str, object]]) -> Iterator[Mistake]:
    datasets = [
        (index, str(pool["dataset"])) for index, pool in enumerate(pools) if "dataset" in pool
    ]
    for index, inner in datasets:
        for other, outer in datasets:
            if inner.startswith(f"{outer}/"):
                words = f"{inner!r} lies below {outer!r}, which is that of {POOLS}[{other}]"
                yield Mistake((POOLS, index, "dataset"), words)
