"""A unit of work is whole or absent, and never holds up the hub or another one for long."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from gevent.event import AsyncResult, Event
from gevent.socket import wait_read
from sqlalchemy import Engine, select, text, update
from sqlalchemy.orm import Session

import db.engine
from db.engine import make_engine
from db.errors import DatabaseBusy, DatabaseUnavailable
from db.models import User
from db.unit_of_work import MAX_REPEATS, UnitOfWork


def user(user_id: str, name: str = "Ann") -> User:
    return User(id=user_id, name=name, guest=True, created_ms=0)


def names(uow: UnitOfWork) -> dict[str, str]:
    with uow.read() as session:
        return {row.id: row.name for row in session.scalars(select(User))}


def rename(session: Session, user_id: str, name: str) -> None:
    session.execute(update(User).where(User.id == user_id).values(name=name))


def test_a_block_that_raises_leaves_nothing(uow: UnitOfWork) -> None:
    with pytest.raises(ZeroDivisionError), uow() as session:
        session.add(user("u1"))
        session.flush()
        1 / 0  # noqa: B018

    assert names(uow) == {}


def test_reading_writes_nothing(uow: UnitOfWork) -> None:
    with uow.read() as session:
        session.add(user("u1"))
        session.flush()

    assert names(uow) == {}


@pytest.mark.parametrize("ending", ["kill", "timeout"])
def test_a_greenlet_ended_in_mid_transaction_leaves_nothing_and_its_connection_works(
    uow: UnitOfWork, engine: Engine, ending: str
) -> None:
    """Whatever ends it, the lock is free at once and the next transaction is a new one."""
    inside, never = Event(), Event()

    def write() -> None:
        with uow() as session:
            session.add(user("u1"))
            session.flush()
            inside.set()
            never.wait()

    greenlet = gevent.spawn(write)
    inside.wait()
    if ending == "kill":
        greenlet.kill()
    else:
        greenlet.kill(gevent.Timeout(1))

    with uow() as session:
        session.add(user("u2"))
    assert names(uow) == {"u2": "Ann"}
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_every_letter_comes_back(uow: UnitOfWork) -> None:
    """Four-byte characters, right-to-left and blanks at the end, as they were."""
    name = "春眠不觉晓 😀 שלום \U00020000 e\u0301 end "
    with uow() as session:
        session.add(user("u1", name))

    assert names(uow) == {"u1": name}


def test_units_do_not_nest_in_a_greenlet(uow: UnitOfWork) -> None:
    """Two connections in one greenlet could wait for each other; in two greenlets they may not."""
    with uow.read():
        with pytest.raises(AssertionError, match="inside another"), uow():
            pass
        assert gevent.spawn(names, uow).get() == {}


def test_too_many_at_once_are_told_so(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller who finds every connection taken is refused in time, and gets one when there is one again."""
    monkeypatch.setattr(db.engine, "POOL_TIMEOUT_S", 0.05)
    engine = make_engine(database_url, pool_size=2)
    uow, inside, leave = UnitOfWork(engine), [], Event()

    def hold() -> None:
        with uow.read() as session:
            session.execute(text("SELECT 1"))
            inside.append(1)
            leave.wait()

    holders = [gevent.spawn(hold) for _ in range(engine.pool.size())]  # type: ignore[attr-defined]
    while len(inside) < len(holders):
        gevent.sleep(0)

    with pytest.raises(DatabaseBusy):
        names(uow)

    leave.set()
    gevent.joinall(holders)
    assert names(uow) == {}
    engine.dispose()


def test_a_deadlock_is_repeated_and_has_one_effect(uow: UnitOfWork, engine: Engine) -> None:
    """Rows taken in opposite order: SQLite lets one go after the other, a server ends one, which is then repeated."""
    with uow() as session:
        session.add_all([user("u1", ""), user("u2", "")])
    both = {"left": Event(), "right": Event()}
    tries: list[str] = []

    def work(session: Session, side: str, other: str, first: str, second: str) -> None:
        tries.append(side)
        session.execute(update(User).where(User.id == first).values(name=User.name + side[0]))
        both[side].set()
        both[other].wait(0.2 if len(tries) <= 2 else 0)
        session.execute(update(User).where(User.id == second).values(name=User.name + side[0]))

    gevent.joinall(
        [
            gevent.spawn(uow.run, lambda session: work(session, "left", "right", "u1", "u2")),
            gevent.spawn(uow.run, lambda session: work(session, "right", "left", "u2", "u1")),
        ],
        raise_error=True,
    )

    assert len(tries) == (2 if engine.dialect.name == "sqlite" else 3)
    assert {key: sorted(name) for key, name in names(uow).items()} == {"u1": ["l", "r"], "u2": ["l", "r"]}


def test_repeats_are_few_and_the_last_refusal_is_told(uow: UnitOfWork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.unit_of_work._PAUSE_S", 0)
    tries = []

    def work(session: Session) -> None:
        tries.append(1)
        raise DatabaseBusy("A deadlock.", repeatable=True)

    with pytest.raises(DatabaseBusy):
        uow.run(work)
    assert len(tries) == 1 + MAX_REPEATS


class TestSqlite:
    """What only SQLite needs."""

    @pytest.fixture
    def engine(self, sqlite_url: str) -> Iterator[Engine]:
        engine = make_engine(sqlite_url)
        yield engine
        engine.dispose()

    @pytest.fixture
    def other_process(self, engine: Engine) -> Iterator[sqlite3.Connection]:
        """A connection that has the write lock, as another process might."""
        connection = sqlite3.connect(engine.url.database or "", isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.close()

    def test_waiting_for_the_lock_lets_others_run(self, uow: UnitOfWork, other_process: sqlite3.Connection) -> None:
        """While one waits to write, another greenlet runs, reads, and even ends the wait."""

        def write() -> None:
            with uow() as session:
                session.add(user("u1"))

        writer = gevent.spawn(write)
        gevent.sleep(0)
        assert names(uow) == {}
        assert not writer.ready()
        other_process.execute("COMMIT")
        writer.get()

        assert names(uow) == {"u1": "Ann"}

    def test_many_who_write_let_others_at_their_sockets_in_between(self, uow: UnitOfWork) -> None:
        """All become ready in the same moment; somebody who waits for a network is still served between any two."""
        ours, theirs = socket.socketpair()
        order: list[str] = []

        def write(number: int) -> None:
            with uow() as session:
                session.add(user(f"u{number}"))
            order.append("write")

        def serve() -> None:
            while True:
                theirs.sendall(b"?")
                wait_read(ours.fileno())
                ours.recv(1)
                order.append("served")

        server = gevent.spawn(serve)
        gevent.joinall([gevent.spawn(write, number) for number in range(20)], raise_error=True)
        server.kill()
        ours.close()
        theirs.close()
        assert order.count("write") == len(names(uow)) == 20
        assert "write write write" not in " ".join(order)

    def test_who_waits_too_long_for_a_turn_is_told(self, uow: UnitOfWork, monkeypatch: pytest.MonkeyPatch) -> None:
        """A transaction that never ends does not hold everybody for ever."""
        monkeypatch.setattr("db.turnstile.LONGEST_WAIT_S", 0.02)
        inside, leave = Event(), Event()

        def hold() -> None:
            with uow():
                inside.set()
                leave.wait()

        holder = gevent.spawn(hold)
        inside.wait()
        with pytest.raises(DatabaseBusy), uow():
            pass
        leave.set()
        holder.join()
        with uow() as session:
            session.add(user("u1"))
        assert names(uow) == {"u1": "Ann"}

    def test_a_lock_never_given_is_told(
        self, uow: UnitOfWork, engine: Engine, other_process: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(db.engine, "LOCK_TIMEOUT_S", 0.02)

        with pytest.raises(DatabaseBusy), uow() as session:
            session.add(user("u1"))
            session.flush()

        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]

    def test_two_processes_write_at_once(self, uow: UnitOfWork, engine: Engine) -> None:
        """Each waits for the other's lock; nothing is lost and nobody is refused."""
        program = (
            "import sys; from db.engine import make_engine; from db.unit_of_work import UnitOfWork\n"
            "from db.models import User\n"
            "uow = UnitOfWork(make_engine(sys.argv[1]))\n"
            "for number in range(100):\n"
            "    with uow() as session:\n"
            "        session.add(User(id=f'theirs {number}', name='', guest=True, created_ms=0))\n"
        )
        url = engine.url.render_as_string()
        other = subprocess.Popen([sys.executable, "-c", program, url], cwd=Path(__file__).parents[2])
        number = 0
        while other.poll() is None or number < 100:
            with uow() as session:
                session.add(user(f"ours {number}"))
            number += 1
            gevent.sleep(0)

        assert other.wait() == 0
        assert sum(name.startswith("theirs") for name in names(uow)) == 100
        assert sum(name.startswith("ours") for name in names(uow)) == number

    def test_a_full_disk_is_told_and_heals(self, uow: UnitOfWork, engine: Engine) -> None:
        """Nothing of the refused change is kept; smaller ones go on."""
        with uow() as session:
            session.execute(text("PRAGMA max_page_count=1"))
        with pytest.raises(DatabaseUnavailable), uow() as session:
            session.add_all(user(f"u{number}", "x" * 60) for number in range(2000))

        with uow() as session:
            session.execute(text("PRAGMA max_page_count=1000000"))
            session.add(user("u"))
        assert names(uow) == {"u": "Ann"}

    def test_a_deleted_parent_takes_its_rows_along(self, uow: UnitOfWork) -> None:
        """Foreign keys are on in every connection."""
        with uow() as session:
            assert session.scalar(text("PRAGMA foreign_keys")) == 1

    def test_memory_is_refused(self) -> None:
        with pytest.raises(ValueError, match="file"):
            make_engine("sqlite://")


class TestMariadb:
    """What only a server can do."""

    @pytest.fixture
    def engine(self, migrated_mariadb_url: str) -> Iterator[Engine]:
        engine = make_engine(migrated_mariadb_url, pool_size=2)
        yield engine
        engine.dispose()

    def test_connections_the_server_closed_are_replaced(self, uow: UnitOfWork, engine: Engine) -> None:
        """A restart of the server costs no transaction that began after it."""
        with uow.read() as session:
            number = session.scalar(text("SELECT CONNECTION_ID()"))
        other = make_engine(engine.url.render_as_string(hide_password=False))
        with other.connect() as connection:
            connection.execute(text(f"KILL {number}"))
        other.dispose()

        with uow.read() as session:
            assert session.scalar(text("SELECT 1")) == 1

    def test_a_lock_not_had_in_time_is_asked_for_again(
        self, uow: UnitOfWork, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Error 1205, twice, and then one effect; what the refused tries did before it is undone."""
        monkeypatch.setattr(db.engine, "LOCK_TIMEOUT_S", 0)  # refused at once
        impatient = make_engine(engine.url.render_as_string(hide_password=False), pool_size=2)
        with uow() as session:
            session.add_all([user("u1", ""), user("u2", "")])
        tries: list[int] = []

        def work(session: Session) -> None:
            tries.append(1)
            session.execute(update(User).where(User.id == "u2").values(name=User.name + "b"))
            if len(tries) == 3:
                holder.rollback()
            session.execute(update(User).where(User.id == "u1").values(name=User.name + "a"))

        with engine.connect() as holder:
            holder.execute(update(User).where(User.id == "u1").values(name="held"))
            UnitOfWork(impatient).run(work)

        assert len(tries) == 3
        assert names(uow) == {"u1": "a", "u2": "b"}
        impatient.dispose()

    def test_a_greenlet_killed_inside_a_statement_takes_its_connection_along(self, engine: Engine) -> None:
        """The answer it did not wait for is nobody else's: the next unit has a new connection, and its own answer."""
        one = make_engine(engine.url.render_as_string(hide_password=False), pool_size=1)
        uow, number = UnitOfWork(one), AsyncResult()

        def wait_long() -> None:
            with uow() as session:
                number.set(session.scalar(text("SELECT CONNECTION_ID()")))
                session.scalar(text("SELECT SLEEP(5), 'not yours'"))

        greenlet = gevent.spawn(wait_long)
        first = number.get()
        gevent.sleep(0)  # it is inside the statement now
        greenlet.kill()

        with uow.read() as session:
            assert session.scalar(text("SELECT CONNECTION_ID()")) != first
            assert session.scalar(text("SELECT 'mine'")) == "mine"
        one.dispose()

    def test_a_server_that_is_away_is_told(self) -> None:
        engine = make_engine("mysql+pymysql://root@127.0.0.1:1/nothing")

        with pytest.raises(DatabaseUnavailable), UnitOfWork(engine).read() as session:
            session.execute(text("SELECT 1"))

    def test_a_value_that_does_not_fit_is_an_error(self, uow: UnitOfWork) -> None:
        """Never cut short in silence."""
        with pytest.raises(Exception, match="too long"), uow() as session:
            session.add(user("u1", "x" * 81))
