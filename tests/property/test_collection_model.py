"""The collection's protocol: no interleaving loses a chunk, and without any of its rules one does.

The real code under a scheduler: test_collection_state.
"""

import pytest

from tests.property.collection_model import Found, explore
from tests.property.collection_world import Bounds, Rules, World

# Where each rule is missed; most need one writer that begins twice, and one collector.
_FEW = Bounds(packs=2, epoch=1)
_BOUNDS = {"trusts_own_listing": Bounds(writers=2, packs=2, epoch=1, attempts=1)}


def told(found: Found) -> str:
    return "\n".join(_told(world) for world in found.way)


def _told(world: World) -> str:
    steps = [one.at.name for one in world.writers] + [one.at.name for one in world.collectors]
    epoch = f"{world.epoch.number} {world.epoch.phase.name} {sorted(world.epoch.packs)}"
    return f"packs {sorted(world.packs)}, epoch {epoch}, {world.manifests}, next: {steps}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "bounds",
    [
        Bounds(packs=2, epoch=4, attempts=1),
        Bounds(packs=3, epoch=1, attempts=1),
        Bounds(packs=2, epoch=1, attempts=2),
        Bounds(collectors=2, packs=2, epoch=1, attempts=1),
    ],
    ids=str,
)
def test_protocol_loses_nothing(bounds: Bounds) -> None:
    """I1, I9, I10."""
    found = explore(Rules(), bounds)
    assert not found.way, told(found)
    assert found.worlds > 10_000


@pytest.mark.deep
@pytest.mark.parametrize(
    "bounds",
    [
        Bounds(packs=3, epoch=4, attempts=2),
        Bounds(writers=2, packs=2, epoch=4, attempts=1),
        Bounds(collectors=2, packs=2, epoch=1, attempts=2),
    ],
    ids=str,
)
def test_protocol_loses_nothing_in_many_steps(bounds: Bounds) -> None:
    found = explore(Rules(), bounds)
    assert not found.way, told(found)
    assert found.worlds > 100_000


@pytest.mark.slow
@pytest.mark.parametrize("rule", Rules._fields)
def test_protocol_without_a_rule_loses_something(rule: str) -> None:
    found = explore(Rules()._replace(**{rule: False}), _BOUNDS.get(rule, _FEW))
    assert found.way, (
        f"{found.worlds} worlds are whole without {rule}: it is no rule, or not played"
    )
