"""`./run doctor`: every fault is found and explained in one sentence."""

from __future__ import annotations

import datetime
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import config
import doctor
import run
from db import migrate

ROOT = Path(__file__).resolve().parents[1]


def settings(tmp_path: Path, **env: str) -> config.Settings:
    return config.load({"DATA_DIR": str(tmp_path), **env})


def only(findings: Iterable[doctor.Finding]) -> doctor.Finding:
    (finding,) = findings
    return finding


def test_all_faults_are_told_at_once_and_the_exit_code_says_so(tmp_path: Path) -> None:
    """Someone who mends a machine wants the whole list, each line with its remedy."""
    env = {
        **os.environ,
        "LC_ALL": "C.UTF-8",
        "DATA_DIR": str(tmp_path / "data"),
        "PORT": "abc",
        "TEMPERATURE": "3",
        "CONNECT_TIMEOUT_S": "soon",
        "HOST": "0.0.0.0",
        "REDIS_URL": "redis://127.0.0.1:9",
        "OPENAI_API_KEY": "k",
    }
    done = subprocess.run([sys.executable, "doctor.py"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=100)
    faults = [line[2:] for line in done.stdout.splitlines() if line.startswith("✗")]
    assert (done.returncode, done.stderr) == (1, "")
    for start in ("PORT must be", "TEMPERATURE must be", "CONNECT_TIMEOUT_S must be", "FLASK_SECRET_KEY must be set",
                  "Redis does not answer", "The database is not set up"):  # fmt: skip
        assert sum(fault.startswith(start) for fault in faults) == 1, done.stdout
    assert "✓ OPENAI_API_KEY is set." in done.stdout
    assert "· DEEPSEEK_API_KEY is not set" in done.stdout
    assert not (tmp_path / "data").exists()


def test_the_database_is_looked_at(tmp_path: Path) -> None:
    """Missing, then up to date."""
    here = settings(tmp_path)
    assert only(doctor.database_findings(here)).sign == "✗"
    migrate.upgrade(here.database_url)
    assert only(doctor.database_findings(here)).sign == "✓"


def test_a_database_server_is_asked(tmp_path: Path, migrated_mariadb_url: str) -> None:
    """One that answers, one that does not; the password is not repeated."""
    assert only(doctor.database_findings(settings(tmp_path, DATABASE_URL=migrated_mariadb_url))).sign == "✓"
    gone = only(doctor.database_findings(settings(tmp_path, DATABASE_URL="mysql+pymysql://a:secret@127.0.0.1:9/b")))
    assert gone.text.startswith("The database does not answer")
    assert "secret" not in gone.text


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """The Redis that `./test` started, or one of this test's own."""
    if given := os.environ.get("PARLEY_TEST_REDIS_URL"):
        yield given
        return
    path = tmp_path / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", "", "--daemonize", "no"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any("ready to accept connections" in line.lower() for line in process.stdout)
        yield f"unix://{path}"
        process.terminate()


def test_redis_is_asked_when_it_is_set(tmp_path: Path, redis_url: str) -> None:
    assert only(doctor.redis_findings(settings(tmp_path))).sign == "·"
    assert only(doctor.redis_findings(settings(tmp_path, REDIS_URL=redis_url))).sign == "✓"
    assert only(doctor.redis_findings(settings(tmp_path, REDIS_URL="redis://127.0.0.1:9"))).sign == "✗"


def test_a_port_taken_by_someone_else_is_a_fault(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        listener.settimeout(0)
        assert only(doctor.port_findings(settings(tmp_path, PORT=port))).sign == "✗"
    assert only(doctor.port_findings(settings(tmp_path, PORT=port))).sign == "✓"


def test_a_folder_that_cannot_be_written_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError

    assert only(doctor.data_findings(settings(tmp_path / "not/yet"))).sign == "✓"
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", refuse)  # root may write everywhere
    assert only(doctor.data_findings(settings(tmp_path))).text.startswith(f"DATA_DIR {tmp_path} cannot be written")


def test_a_clock_in_the_past_is_a_fault() -> None:
    assert only(doctor.clock_findings(datetime.date(1970, 1, 1))).sign == "✗"
    assert only(doctor.clock_findings(datetime.date(2100, 1, 1))).sign == "✓"


def test_a_name_that_is_no_setting_is_pointed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt line in `.env` would otherwise do nothing, silently."""
    (tmp_path / ".env").write_text("OPENAI_KEY=x\nPORT=5001\n")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    texts = [finding.text for finding in doctor.setting_findings({})]
    assert "OPENAI_KEY in .env is no setting of Parley." in texts
    assert not any(text.startswith("PORT") for text in texts)
