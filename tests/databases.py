"""Databases for tests: each test that takes `engine` runs on SQLite and on a real MariaDB, empty every time.

The MariaDB is the one that `PARLEY_TEST_MARIADB_URL` names (tests may create databases there); without it one is
started for the session in a temporary folder. A test that breaks its server takes `own_mariadb`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
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
from tests.owned import OwnedProcess, program

KINDS = ("sqlite", "mariadb")
_PACKAGE = "mariadb-server"
_AS_ROOT = ("--user=root",) if os.geteuid() == 0 else ()


@pytest.fixture(scope="session")
def mariadb_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a MariaDB that has never run, to be copied: making them takes seconds."""
    folder = tmp_path_factory.mktemp("mariadb-files")
    done = subprocess.run(
        [program("mariadb-install-db", _PACKAGE), "--no-defaults", f"--datadir={folder / 'data'}",
         "--auth-root-authentication-method=normal", "--skip-test-db", *_AS_ROOT],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "data"


@pytest.fixture(scope="session")
def mariadb_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database of this session on a running server."""
    given = os.environ.get("PARLEY_TEST_MARIADB_URL")
    server = None
    if not given:
        files = request.getfixturevalue("mariadb_files")
        server = MariadbProcess(tmp_path_factory.mktemp("mariadb"), files).start()
    try:
        address = make_url(given or server.url("mysql"))  # type: ignore[union-attr]
        name = f"parley_test_{os.getpid()}"
        _execute(address, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        yield address.set(database=name).render_as_string(hide_password=False)
        _execute(address, f"DROP DATABASE {name}")
    finally:
        if server is not None:
            server.stop()


@pytest.fixture
def own_mariadb(tmp_path: Path, mariadb_files: Path) -> Iterator[MariadbProcess]:
    """A running server with an empty database `parley`, which this test may break."""
    with MariadbProcess(tmp_path / "mariadb", mariadb_files) as server:
        server.execute("CREATE DATABASE parley CHARACTER SET utf8mb4")
        yield server


class MariadbProcess(OwnedProcess):
    """One MariaDB. What was committed outlives a kill. `files` are copied; `arguments` are options of mariadbd."""

    def __init__(self, folder: Path, files: Path, *arguments: str) -> None:
        super().__init__(folder)
        self._arguments = arguments
        self._data = folder / "data"
        shutil.copytree(files, self._data)

    def url(self, database: str = "parley") -> str:
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/{database}"

    def command(self) -> list[str]:
        return [
            program("mariadbd", _PACKAGE), "--no-defaults", f"--datadir={self._data}", f"--port={self.port}",
            "--bind-address=127.0.0.1", "--socket=socket", "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=2", "--skip-log-bin",
            "--performance-schema=OFF", *_AS_ROOT, *self._arguments,
        ]  # fmt: skip

    def answers(self) -> bool:
        try:
            self.execute("SELECT 1", database="mysql")
            return True
        except OperationalError:
            return False

    def execute(self, *statements: str, database: str = "mysql") -> None:
        _execute(make_url(self.url(database)), *statements)


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


@pytest.fixture(params=KINDS)
def bare_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without a schema, once of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'bare.sqlite3'}"
        return
    server = make_url(str(request.getfixturevalue("mariadb_url")))
    bare = server.set(database=f"{server.database}_bare")
    _execute(server, f"CREATE DATABASE {bare.database} CHARACTER SET utf8mb4")
    yield bare.render_as_string(hide_password=False)
    _execute(server, f"DROP DATABASE {bare.database}")


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
