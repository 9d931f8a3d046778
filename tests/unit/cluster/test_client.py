"""What becomes of an API server's answers that are none."""

import json

import pytest

from csi_zfs.cluster.client import ClusterUnavailableError, translating


def test_answer_that_was_cut_short_is_asked_for_again() -> None:
    """A server that ends in the middle of a watch must not end the router, and its calls, too."""
    with (
        pytest.raises(ClusterUnavailableError, match="endpoints: the answer was cut short"),
        translating("endpoints"),
    ):
        json.loads('{"type": "MODIFIED", "obj')
