"""`python -m services.importing spark-mobile URL | doubao-web FILE [--merge]`, into the database of the settings."""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

import config
from db.engine import make_engine
from db.errors import DatabaseBusy
from db.migrate import upgrade
from db.unit_of_work import UnitOfWork
from services.accounts.passwords import Passwords
from services.accounts.standing import StandingTokens
from services.clock import SystemClock
from services.importing.doubao_web import import_conversations
from services.importing.spark_mobile import SOURCE, import_users
from services.instance import kept_secret
from services.quota.ledger import Ledger


def main(arguments: list[str], env: Mapping[str, str]) -> int:
    """0 when all was read, whatever was left out; the report tells that."""
    parser = argparse.ArgumentParser(prog="python -m services.importing", description=__doc__)
    parser.add_argument("backend", choices=("spark-mobile", "doubao-web"))
    parser.add_argument("source", help="spark-mobile: mysql+pymysql://user:password@host/name; doubao-web: its chat.db")
    parser.add_argument("--merge", action="store_true", help="take a name that is taken here for the same person")
    asked = parser.parse_args(arguments)
    try:
        lines = _run(asked.backend, asked.source, asked.merge, config.load(env))
    except (config.ConfigError, DatabaseBusy) as error:
        print(f"parley: {error}", file=sys.stderr)
        return 2
    except (SQLAlchemyError, sqlite3.Error, OSError, ValueError) as error:
        # The words of a database may hold the address with its password.
        print(f"parley: the old data cannot be read ({type(error).__name__}).", file=sys.stderr)
        return 2
    print("\n".join(lines))
    return 0


def _run(backend: str, source: str, merge: bool, settings: config.Settings) -> list[str]:
    settings.server.data_dir.mkdir(parents=True, exist_ok=True)
    upgrade(settings.database_url)
    clock = SystemClock()
    with ExitStack() as stack:
        engine = make_engine(settings.database_url, pool_size=2)
        stack.callback(engine.dispose)
        uow = UnitOfWork(engine)
        if backend == "doubao-web":
            ledger = Ledger(
                initial_tokens=settings.accounts.initial_tokens, initial_pictures=settings.accounts.initial_pictures
            )
            users, conversations = import_conversations(
                Path(source), uow=uow, clock=clock, ledger=ledger, merge=merge
            )
            return [*users.lines("users"), *conversations.lines("conversations")]
        passwords = Passwords()
        stack.callback(passwords.close)
        standing = StandingTokens(
            uow,
            clock,
            key=lambda: settings.server.secret_key or kept_secret(settings.server.data_dir),
            purpose=SOURCE,
        )
        report = import_users(source, uow=uow, clock=clock, passwords=passwords, standing=standing, merge=merge)
        return report.lines("users")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], config.environment(Path.cwd())))
