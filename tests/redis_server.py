"""A real Redis for tests: the one `PARLEY_TEST_REDIS_URL` names, or one of this session's own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

import pytest
import redis

START_S = 20


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    given = os.environ.get("PARLEY_TEST_REDIS_URL")
    if given:
        yield given
        return
    program = shutil.which("redis-server") or pytest.fail("redis-server is missing: install Debian's redis-server.")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="parley-redis-") as folder:
        process = subprocess.Popen(
            [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--logfile", "log"]
        )
        try:
            url = f"redis://127.0.0.1:{port}/0"
            _await(url)
            yield url
        finally:
            process.terminate()
            process.wait(START_S)


def _await(url: str) -> None:
    deadline = time.monotonic() + START_S
    with redis.Redis.from_url(url) as client:
        while True:
            try:
                client.ping()
                return
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
