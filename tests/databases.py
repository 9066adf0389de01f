"""Databases for tests: each test that takes `engine` runs on SQLite and on a real MariaDB, empty every time.

The MariaDB is the one that `PARLEY_TEST_MARIADB_URL` names (tests may create databases there); without it one is
started for the session in a temporary folder.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError

from db import migrate
from db.base import Base
from db.engine import make_engine
from db.unit_of_work import UnitOfWork
from tests.clocks import FakeClock

KINDS = ("sqlite", "mariadb")
_START_S = 60


@pytest.fixture(scope="session")
def mariadb_url() -> Iterator[str]:
    """A database of this session on a running server."""
    given = os.environ.get("PARLEY_TEST_MARIADB_URL")
    with tempfile.TemporaryDirectory(prefix="parley-mariadb-") as folder:
        process = None if given else _start_mariadb(Path(folder))
        try:
            server = make_url(given) if given else _server_url(Path(folder))
            name = f"parley_test_{os.getpid()}"
            _execute(server, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
            yield server.set(database=name).render_as_string(hide_password=False)
            _execute(server, f"DROP DATABASE {name}")
        finally:
            if process is not None:
                process.terminate()
                process.wait(_START_S)


@pytest.fixture(scope="session")
def migrated_mariadb_url(mariadb_url: str) -> str:
    migrate.upgrade(mariadb_url)
    return mariadb_url


@pytest.fixture(scope="session")
def migrated_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("template") / "parley.sqlite3"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(migrated_sqlite_file: Path, tmp_path: Path) -> str:
    """An empty SQLite database of this test's own."""
    path = tmp_path / "parley.sqlite3"
    shutil.copyfile(migrated_sqlite_file, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database, once of each kind."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    url = str(request.getfixturevalue("migrated_mariadb_url"))
    _empty(url)
    return url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url, pool_size=8)
    yield engine
    engine.dispose()


@pytest.fixture
def uow(engine: Engine) -> UnitOfWork:
    return UnitOfWork(engine)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def _empty(url: str) -> None:
    names = [f"`{table.name}`" for table in Base.metadata.sorted_tables]
    _execute(make_url(url), "SET FOREIGN_KEY_CHECKS=0", *(f"DELETE FROM {name}" for name in names))


def _execute(address: URL, *statements: str) -> None:
    engine = create_engine(address)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def _server_url(folder: Path) -> URL:
    return URL.create("mysql+pymysql", "root", host="127.0.0.1", port=int((folder / "port").read_text()))


def _start_mariadb(folder: Path) -> subprocess.Popen[bytes]:
    install, server = (_program(name) for name in ("mariadb-install-db", "mariadbd"))
    data = folder / "data"
    as_root = ["--user=root"] if os.geteuid() == 0 else []
    log = (folder / "log").open("wb")
    subprocess.run(
        [install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
         "--skip-test-db", *as_root],
        check=True, stdout=log, stderr=log,
    )  # fmt: skip
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "port").write_text(str(port))
    process = subprocess.Popen(
        [server, "--no-defaults", f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1",
         f"--socket={folder / 'socket'}", "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M",
         "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin", "--performance-schema=OFF", *as_root],
        stdout=log, stderr=log,
    )  # fmt: skip
    deadline = time.monotonic() + _START_S
    while True:
        try:
            _execute(_server_url(folder), "SELECT 1")
            return process
        except OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail(f"MariaDB did not start:\n{(folder / 'log').read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.fail(f"{name} is missing: install the Debian package mariadb-server.")
    return found
