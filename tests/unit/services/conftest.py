"""Nodes for the tests of the services: the real services, over fake engines."""

from pathlib import Path

import pytest

from tests.support.node import FakeNode
from tests.support.pool_core import LIKE_NATIVE_OPENZFS


@pytest.fixture(params=[False, True], ids=["like-reflink", "like-openzfs"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> FakeNode:
    """A node of one pool: once with independent clones, once with ones that need their origin."""
    return FakeNode(tmp_path, dependent_clones=request.param)


@pytest.fixture
def reflink_node(tmp_path: Path) -> FakeNode:
    """A node whose pool behaves like the embedded one."""
    return FakeNode(tmp_path)


@pytest.fixture
def openzfs_node(tmp_path: Path) -> FakeNode:
    """A node whose pool behaves like OpenZFS."""
    return FakeNode(tmp_path, dependent_clones=True)


@pytest.fixture
def native_node(tmp_path: Path) -> FakeNode:
    """A node whose pool behaves like OpenZFS and has native file systems."""
    return FakeNode(tmp_path, features=LIKE_NATIVE_OPENZFS)


@pytest.fixture
def two_pools(tmp_path: Path) -> FakeNode:
    """A node of two pools."""
    return FakeNode(tmp_path, pools=2)
