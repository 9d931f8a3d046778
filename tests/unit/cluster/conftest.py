from collections.abc import Iterator

import pytest

from tests.support.api_server import FakeApiServer, serving


@pytest.fixture(name="api")
def fixture_api() -> Iterator[FakeApiServer]:
    with serving(FakeApiServer()) as api:
        yield api
