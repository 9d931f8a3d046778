"""The driver behind its gRPC socket against a plain model, over random sequences of calls.

rules.md A3, B1, B2, and ids: a late call with the id of an earlier volume of the same name touches
nothing of the new one.
"""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.property.csi_machine import DriverMachine


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("dependent", [False, True], ids=["like-reflink", "like-openzfs"])
def test_driver_in_any_sequence_of_calls_equals_its_model(*, dependent: bool) -> None:
    """Fewer examples: each one starts servers."""

    class Machine(DriverMachine):
        dependent_clones = dependent

    fewer = settings(
        max_examples=settings().max_examples // 3,
        stateful_step_count=30,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(Machine, settings=fewer)
