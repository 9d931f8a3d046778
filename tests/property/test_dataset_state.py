"""A `DatasetManager` against a plain model, over random sequences of its verbs."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.property.dataset_machine import DatasetMachine
from tests.support.pools import PoolMaker, fake_like_openzfs, fake_like_reflink
from tests.support.real_pools import reflink_pool


def machine_on(make_pool: PoolMaker) -> type[DatasetMachine]:
    """The machine, on pools of one kind."""

    class Machine(DatasetMachine):
        def __init__(self) -> None:
            super().__init__(make_pool)

    return Machine


@pytest.mark.parametrize("make_pool", [fake_like_reflink, fake_like_openzfs])
def test_fake_pool_in_any_sequence_equals_its_model(make_pool: PoolMaker) -> None:
    run_state_machine_as_test(machine_on(make_pool), settings=settings())


@pytest.mark.root
@pytest.mark.slow
def test_reflink_pool_in_any_sequence_equals_its_model() -> None:
    """Fewer sequences: each one makes a file system."""
    fewer = settings(
        max_examples=settings().max_examples // 4,
        stateful_step_count=40,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(machine_on(reflink_pool), settings=fewer)
