"""Logs: one line an event on stderr, JSON for machines, plain where a person watches."""

from __future__ import annotations

import logging
import re
import sys
from contextlib import suppress
from typing import Any, TextIO, cast

import orjson

from config import ServerSettings

FIELDS = ("worker", "turn", "user", "method", "path", "status", "reason", "code", "entries", "charged", "duration_ms")
"""What a call may add with `extra={...}`: ids, sizes, durations, codes. Never text, never secrets."""

_BOUND_VALUES = re.compile(r"\[parameters: .*")
_SECRETS = re.compile(r"\b(parley_|sk-)[\w-]{8,}|(?i:bearer\s+)[\w.~+/=-]{8,}")
_LONGEST = 4_000


class _Formatter(logging.Formatter):
    """What both kinds share: the message and traceback of a record, freed of what no log may hold."""

    def message_of(self, record: logging.LogRecord) -> str:
        return _clean(record.getMessage())[:_LONGEST]

    def traceback_of(self, record: logging.LogRecord) -> str:
        return _clean(self.formatException(record.exc_info)) if record.exc_info else ""


class JsonFormatter(_Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time_ms": int(record.created * 1000),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self.message_of(record),
        }
        line.update((name, record.__dict__[name]) for name in FIELDS if name in record.__dict__)
        if traceback := self.traceback_of(record):
            line["traceback"] = traceback
        return orjson.dumps(line, default=str).decode()


class PlainFormatter(_Formatter):
    """For a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        parts = [self.formatTime(record, "%H:%M:%S"), f"{record.levelname:<7}", self.message_of(record)]
        parts += [f"{name}={record.__dict__[name]}" for name in FIELDS if name in record.__dict__]
        # Control characters that came from a client must not reach the terminal.
        line = "".join(char if char.isprintable() else "?" for char in " ".join(parts))
        traceback = self.traceback_of(record)
        return f"{line}\n{traceback}" if traceback else line


class Unfailing:
    """A text stream that loses what it cannot write: a full disk must stop no more than the log.

    For standard error, where gevent also reports: a failing write there loses the result of a thread's work, and
    whoever waits for it waits for ever.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def configure_logging(settings: ServerSettings, stream: TextIO | None = None) -> None:
    """Send every record to `stream`, stderr by default, instead of where they went before."""
    stream = stream or _unfailing_stderr()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PlainFormatter() if stream.isatty() else JsonFormatter())
    root = logging.getLogger()
    for former in root.handlers[:]:
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel("DEBUG" if settings.debug else settings.log_level.upper())
    # These tell of every packet, with what is in it, or of nothing an owner would act on.
    for name in ("engineio", "socketio", "urllib3", "sqlalchemy.engine", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


def name_worker(name: str) -> None:
    """Have every line say which of several workers wrote it."""
    make = logging.getLogRecordFactory()

    def named(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        record.worker = name
        return record

    logging.setLogRecordFactory(named)


def _unfailing_stderr() -> TextIO:
    if not isinstance(sys.stderr, Unfailing):
        sys.stderr = cast(TextIO, Unfailing(sys.stderr))
    return cast(TextIO, sys.stderr)


def _clean(text: str) -> str:
    """Without the values a database driver was given, and without what looks like a key."""
    return _SECRETS.sub("[secret]", _BOUND_VALUES.sub("[parameters hidden]", text))
