"""People of the older servers are brought over with what is theirs, once."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from werkzeug.security import generate_password_hash

from services.importing.__main__ import main
from tests.compat.test_doubao_web import ask as ask_doubao
from tests.scripted import words
from tests.servers import Stand, site_env, stand  # noqa: F401

OLD_ID = "0f3c5e7a9b1d4c2e8f60718293a4b5c6"


def md5(password: str) -> str:
    return hashlib.md5(f"{password}#_#".encode()).hexdigest()


@pytest.fixture
def spark_database(tmp_path: Path) -> str:
    """The old `user` table, as its documentation declares it."""
    url = f"sqlite:///{tmp_path / 'spark.sqlite3'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            text("CREATE TABLE user (Id varchar(50) PRIMARY KEY, UserName varchar(50), PassWord varchar(50),"
                 " Tokens integer, Email varchar(50), PicTimes integer DEFAULT 0)")
        )  # fmt: skip
        for row in (
            (OLD_ID, "ann", md5("pw"), 500, "a@b.c", 3),
            ("2", "bob", md5("bob's"), -20, "", None),
            ("3", "ANN", md5("pw"), 1, "", 1),
            ("4", "  ", md5("pw"), 1, "", 1),
        ):
            connection.exec_driver_sql("INSERT INTO user VALUES (?, ?, ?, ?, ?, ?)", row)
    engine.dispose()
    return url


@pytest.fixture
def doubao_file(tmp_path: Path) -> Path:
    path = tmp_path / "chat.db"
    with closing(sqlite3.connect(path)) as old, old:
        old.executescript(
            "CREATE TABLE user (id INTEGER PRIMARY KEY, username VARCHAR(80), password VARCHAR(120));"
            "CREATE TABLE chat_session (id VARCHAR(36) PRIMARY KEY, created_at DATETIME, is_used BOOLEAN, user_id INT);"
            "CREATE TABLE chat_message (id INTEGER PRIMARY KEY, session_id VARCHAR(36), role VARCHAR(20), content TEXT,"
            " timestamp DATETIME);"
        )
        users = [(1, "ann", generate_password_hash("secret")), (2, "bob", "plain text")]
        old.executemany("INSERT INTO user VALUES (?, ?, ?)", users)
        old.executemany(
            "INSERT INTO chat_session VALUES (?, ?, ?, ?)",
            [("ctx-1", "2025-02-09 12:50:00.000001", 1, 1), ("ctx-2", "2025-02-10 08:00:00", 0, 1)],
        )
        old.executemany(
            "INSERT INTO chat_message VALUES (?, ?, ?, ?, ?)",
            [
                (1, "ctx-1", "user", "你好", "2025-02-09 12:51:00"),
                (2, "ctx-1", "assistant", "Hello", "2025-02-09 12:51:00"),
                (3, "gone", "user", "nobody's", "2025-02-09 12:51:00"),
            ],
        )
    return path


def test_users_come_with_their_quotas_and_passwords(
    stand: Stand, site_env: dict[str, str], spark_database: str, capsys: pytest.CaptureFixture[str]  # noqa: F811
) -> None:
    env = {**site_env, "FLASK_SECRET_KEY": "the same for both"}
    assert main(["spark-mobile", spark_database], env) == 0
    told = capsys.readouterr().out
    assert "2 added" in told and "2 left out" in told and "ann" not in told

    client = stand.site.client()
    opened = client.post("/auth/login", json={"username": "ann", "password": "pw"}).get_json()
    assert (opened["code"], opened["tokens"], opened["picTimes"]) == (0, 500, 3)
    assert client.post("/auth/login", json={"username": "bob", "password": "bob's"}).get_json()["tokens"] == 0
    assert client.post("/auth/login", json={"username": "ann", "password": "pw"}).get_json()["code"] == 0
    stand.provider.script = words("yes")
    dialog = [{"role": "user", "content": "hi"}]
    asked = client.post("/textModel/chat", json={"uuid": OLD_ID, "username": "ann", "dialog": dialog}).get_json()
    assert (asked["code"], asked["content"]) == (0, "yes")

    spent = client.post("/auth/login", json={"username": "ann", "password": "pw"}).get_json()["tokens"]
    assert main(["spark-mobile", spark_database], env) == 0
    assert "0 added, 2 had been imported before" in capsys.readouterr().out
    assert client.post("/auth/login", json={"username": "ann", "password": "pw"}).get_json()["tokens"] == spent


def test_a_name_that_is_taken_is_somebody_elses_unless_told(
    stand: Stand, site_env: dict[str, str], spark_database: str  # noqa: F811
) -> None:
    headers = stand.site.register("Ann")
    main(["spark-mobile", spark_database], site_env)
    client = stand.site.client()
    assert client.post("/auth/login", json={"username": "ann", "password": "pw"}).get_json()["code"] == "LOGIN_ERROR"

    main(["spark-mobile", spark_database, "--merge"], site_env)
    assert client.get("/v1/auth/me", headers=headers).get_json()["quota"]["tokens"] == 1_000_000
    dialog = [{"role": "user", "content": "hi"}]
    asked = client.post("/textModel/chat", json={"uuid": OLD_ID, "username": "ann", "dialog": dialog}).get_json()
    assert asked["code"] == "USER_NOT_FOUND"


def test_conversations_come_with_their_times_and_go_on(
    stand: Stand, site_env: dict[str, str], doubao_file: Path, capsys: pytest.CaptureFixture[str]  # noqa: F811
) -> None:
    for expected in ("conversations: 1 added", "conversations: 0 added, 1 had been imported before"):
        assert main(["doubao-web", str(doubao_file)], site_env) == 0
        assert expected in capsys.readouterr().out

    client = stand.site.client()
    assert client.post("/login", data={"username": "bob", "password": "plain text"}).status_code == 200
    assert client.post("/login", data={"username": "ann", "password": "secret"}).status_code == 302
    listed = client.get("/v1/conversations", headers={"Sec-Fetch-Site": "same-origin"}).get_json()["conversations"]
    assert [conversation["title"] for conversation in listed] == ["你好"]
    assert listed[0]["created_ms"] == int(datetime(2025, 2, 9, 12, 50).timestamp() * 1000)  # noqa: DTZ001 - as written
    session = listed[0]["id"]
    stored = client.get(f"/get-messages?session_id={session}").get_json()
    assert [(message["role"], message["content"]) for message in stored] == [("user", "你好"), ("assistant", "Hello")]
    assert stored[0]["time"] == "12:51"

    ask_doubao(client, session, "more")
    assert [message.text for message in stand.provider.requests[-1].messages] == ["你好", "Hello", "more"]


@pytest.mark.parametrize("source", ["mysql+pymysql://u:secret@127.0.0.1:1/none", "nonsense", "sqlite:////nowhere/x"])
def test_what_cannot_be_read_is_told_without_its_address(
    site_env: dict[str, str], source: str, capsys: pytest.CaptureFixture[str]  # noqa: F811
) -> None:
    for backend in ("spark-mobile", "doubao-web"):
        assert main([backend, source], site_env) == 2
    assert "secret" not in capsys.readouterr().err
