"""What the tests of the chart share: they need Helm, which is built once."""

import os
from pathlib import Path

import pytest

from tests.chart.helm import HELM
from tests.support import machine

_FOLDER = Path(__file__).parent
_BUILD_LIMIT_S = 1200


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark every test of this folder: Helm is a program in Go."""
    if item.path.is_relative_to(_FOLDER):
        item.add_marker("go")
        item.add_marker(pytest.mark.timeout(_BUILD_LIMIT_S))


@pytest.fixture(scope="session", autouse=True)
def helm() -> None:
    """Have Helm built before the first test; where there is no Go, each test says so itself."""
    if machine.why_no_go() is None:
        HELM.ensure(os.environ)
