"""Logs: one line an event, with ids, without anybody's words or keys."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy

import config
from services.telemetry.logs import configure_logging
from tests.servers import PASSWORD, Stand

logger = logging.getLogger("tests.logs")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """The root logger is put back as pytest had it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines_of(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_machine_reads_one_json_object_a_line() -> None:
    stream = io.StringIO()
    configure_logging(config.ServerSettings(), stream)
    logger.warning("ended\nin two lines", extra={"turn": "t_1", "user": "u_1", "text": "what they said"})
    (line,) = lines_of(stream)
    assert (line["level"], line["logger"], line["message"]) == ("warning", "tests.logs", "ended\nin two lines")
    assert (line["turn"], line["user"]) == ("t_1", "u_1")
    assert "what they said" not in stream.getvalue()


def test_a_person_reads_one_plain_line() -> None:
    """Control characters that a client sent do not reach the terminal."""
    stream = Terminal()
    configure_logging(config.ServerSettings(), stream)
    logger.info("request", extra={"method": "GET", "path": "/\x1b[2J\n", "status": 404})
    (line,) = stream.getvalue().splitlines()
    assert line.endswith("request method=GET path=/?[2J? status=404")


@pytest.mark.parametrize(("level", "debug", "kept"), [("info", False, 1), ("error", False, 0), ("error", True, 2)])
def test_the_level_is_the_settings(level: str, debug: bool, kept: int) -> None:
    stream = io.StringIO()
    configure_logging(config.ServerSettings(log_level=level, debug=debug), stream)
    logger.info("told")
    logger.debug("told in detail")
    assert len(lines_of(stream)) == kept


def test_a_traceback_is_kept_without_values_and_keys() -> None:
    """A database driver's complaint names the statement, not what people wrote; what looks like a key is gone."""
    stream = io.StringIO()
    configure_logging(config.ServerSettings(), stream)
    engine, said = sqlalchemy.create_engine("sqlite://"), "my dear diary"
    try:
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("INSERT INTO nowhere VALUES (:said)"), {"said": said})
    except sqlalchemy.exc.OperationalError:
        logger.exception("failed for sk-live0123456789abcdef and Bearer abcdefgh12345678 and parley_Ab-cdefghijkl")
    (line,) = lines_of(stream)
    assert "INSERT INTO nowhere" in str(line["traceback"])
    for secret in ("diary", "live0123", "abcdefgh1", "cdefghijkl"):
        assert secret not in stream.getvalue()


def test_what_people_write_and_what_proves_them_is_never_logged(stand: Stand) -> None:
    """A short life at the most talkative level: ids are there, words, passwords, tokens, searches are not."""
    stream = io.StringIO()
    configure_logging(config.ServerSettings(debug=True), stream)
    client = stand.site.client()
    user = stand.site.register("ann")

    def ask(method: str, path: str, body: object = None) -> Any:
        return client.open(path, method=method, json=body, headers=user, buffered=True)

    ask("POST", "/v1/auth/login", {"username": "ann", "password": "wrong password"})
    ask("POST", "/v1/auth/register", {"username": "bob", "password": PASSWORD, "is_admin": "swordfish"})
    ask("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "swordfish"}]})
    ask("GET", "/v1/conversations?q=swordfish")
    (conversation,) = ask("GET", "/v1/conversations").get_json()["conversations"]
    ask("PATCH", f"/v1/conversations/{conversation['id']}", {"title": "swordfish"})
    ask("GET", f"/v1/conversations/{conversation['id']}/export")

    told = stream.getvalue()
    for secret in ("swordfish", PASSWORD, "wrong password", user["Authorization"].removeprefix("Bearer ")):
        assert secret not in told
    requests = [line for line in lines_of(stream) if line["message"] == "request"]
    assert {line["status"] for line in requests} == {200, 201, 401}
    assert all({"method", "path", "duration_ms"} <= set(line) for line in requests)
    assert requests[-1]["user"]
    assert any("is_admin" in str(line["message"]) for line in lines_of(stream))
