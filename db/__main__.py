"""`python -m db upgrade | backup FILE | restore FILE | check | revision "What changes."`

The first three work on the database the settings name; the other two, unless told a scratch database with `--url`, on
one of their own that they throw away.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import config
from db import backup, migrate
from db.engine import make_engine
from db.errors import DatabaseBusy


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m db")
    parser.add_argument("--url", help="the database")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("upgrade", help="bring the schema up to date")
    for name, does in (("backup", "copy the database into FILE, while the server runs"), ("restore", "put it back")):
        commands.add_parser(name, help=does).add_argument("file", type=Path, metavar="FILE")
    commands.add_parser("check", help="fail when the models and the migrations differ")
    revision = commands.add_parser("revision", help="write the next migration")
    revision.add_argument("message", help="one sentence saying what changes")
    asked = parser.parse_args(arguments)

    try:
        if asked.command == "upgrade":
            migrate.upgrade(asked.url or _configured_url())
            return 0
        if asked.command == "backup":
            backup.backup(asked.url or _configured_url(), asked.file)
            return 0
        if asked.command == "restore":
            backup.restore(asked.url or _configured_url(), asked.file)
            return 0
    except (DatabaseBusy, backup.BackupRefused) as refused:
        print(refused, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        url = asked.url or f"sqlite:///{folder}/scratch.sqlite3"
        migrate.upgrade(url)
        engine = make_engine(url, pool_size=1)
        try:
            if asked.command == "revision":
                print(migrate.revise(engine, asked.message))
                return 0
            found = migrate.differences(engine)
        finally:
            engine.dispose()
    for difference in found:
        print(difference, file=sys.stderr)
    return 1 if found else 0


def _configured_url() -> str:
    settings = config.load(config.environment(Path.cwd()))
    settings.server.data_dir.mkdir(parents=True, exist_ok=True)
    return settings.database_url


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
