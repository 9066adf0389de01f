"""Workers that count for themselves, and workers that count together."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.passing_time import Workers
from tests.passing_time import workers as made
from tests.redis_server import redis_url  # noqa: F401


@pytest.fixture(params=["memory", "redis"])
def workers(request: pytest.FixtureRequest) -> Iterator[Workers]:
    yield from made(request.getfixturevalue("redis_url") if request.param == "redis" else None)


@pytest.fixture
def joined(redis_url: str) -> Iterator[Workers]:  # noqa: F811
    yield from made(redis_url)
