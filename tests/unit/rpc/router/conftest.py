"""A cluster of fake nodes behind the real router."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.pool_state import Room
from tests.support.routed import RoutedCluster

MakeCluster = Callable[..., RoutedCluster]


@pytest.fixture(name="make_cluster")
def fixture_make_cluster(tmp_path: Path) -> Iterator[MakeCluster]:
    """Begins clusters; the path of a socket has 107 bytes, so theirs are elsewhere."""
    with ExitStack() as stack:

        def make(nodes: int = 2, room_of: Callable[[int], Room] | None = None) -> RoutedCluster:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            options = {} if room_of is None else {"room_of": room_of}
            cluster = RoutedCluster(tmp_path, directory / "csi.sock", nodes=nodes, **options)
            return stack.enter_context(cluster)

        yield make


@pytest.fixture(name="cluster")
def fixture_cluster(make_cluster: MakeCluster) -> RoutedCluster:
    return make_cluster()
