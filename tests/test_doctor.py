"""`./run doctor`: every fault is found and explained in one sentence."""

from __future__ import annotations

import datetime
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import config
import doctor
import run
from db import migrate
from simulators.ark import NOT_OPEN, ArkSimulator
from simulators.faults import Fault
from simulators.openai import KEY
from simulators.spark import SECRET, SparkFault, SparkSimulator
from tests.vendors import SIMULATED, Vendors

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
    command = [sys.executable, "doctor.py", "--offline"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=100)
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


# What the vendors say

ASKED = ("openai", "deepseek", "dashscope", "ark", "spark")
LISTED = ("ollama", "vllm")


@pytest.fixture
def vendors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendors]:
    monkeypatch.setattr(run, "CHINESE", False)
    with Vendors({*ASKED, *LISTED}) as vendors:
        yield vendors


def said(vendors: Vendors, **env: str) -> dict[str, doctor.Finding]:
    """What is found of each vendor; never a vendor's word, a key or an address."""
    first, *findings = doctor.vendor_findings({**vendors.env, **env}, offline=False)
    assert "10 s at most" in first.text
    for finding in findings:
        assert not any(word in finding.text for word in ("imulat", "127.0.0.1", KEY, SECRET, "sk-wrong")), finding
    return {finding.text.partition(" ")[0].rstrip(":"): finding for finding in findings}


def faults(vendors: Vendors, **env: str) -> dict[str, str]:
    """The faults found, without those who they are of."""
    found = said(vendors, **env)
    return {name: finding.text.partition(": ")[2] for name, finding in found.items() if finding.sign == "✗"}


def test_every_vendor_is_asked_for_a_few_tokens(vendors: Vendors) -> None:
    """A few words of one model, or the list of models; hung up on at the first piece."""
    found = said(vendors)
    assert set(found) == {*ASKED, *LISTED}
    assert {finding.sign for finding in found.values()} == {"✓"}
    for name in ASKED:
        (call,) = vendors[name].calls
        assert "Say hello." in str(call.json)
        assert call.ended.wait(5)
        assert call.sold <= 16
    assert found["spark"].text.startswith("spark (spark-lite) answers, after 0.")
    assert found["ollama"].text == "ollama answers and has 2 models."


def test_offline_asks_nobody(vendors: Vendors) -> None:
    """Settings are looked at all the same, every vendor's."""
    env = {**vendors.env, "SPARK_API_KEY": "", "APP_ID": "a", "DASHSCOPE_BASE_URL": "http://x/v9"}
    found = [finding.text for finding in doctor.vendor_findings(env, offline=True)]
    assert [text.split(" ")[0] for text in found] == ["APP_ID", "SPARK_API_KEY"]
    assert not any(vendors[name].calls for name in (*ASKED, *LISTED))


def test_a_wrong_key_is_named(vendors: Vendors) -> None:
    """By its variable."""
    names = [f"{name.upper()}_API_KEY" for name in ASKED]
    found = faults(vendors, **dict.fromkeys(names, "sk-wrong-0001"))
    assert set(found) == set(ASKED)
    for name in ASKED:
        assert f"{name.upper()}_API_KEY" in found[name]
    assert "copy SPARK_API_SECRET anew" in faults(vendors, SPARK_API_SECRET="sk-wrong-0001")["spark"]


def test_arrears_are_told(vendors: Vendors) -> None:
    """As each vendor words them, in one sentence."""
    vendors["openai"].play(Fault(status=429, code="insufficient_quota"))
    vendors["deepseek"].play(Fault(status=402))
    vendors["dashscope"].play(Fault(status=400, code="Arrearage"))
    vendors["ark"].play(Fault(status=403, code="AccountOverdueError"))
    vendors["spark"].play(SparkFault(error_after=0, code="11201"))
    assert faults(vendors) == {
        "openai": "The account with the vendor is used up: top it up, or raise its spending limit.",
        "deepseek": "The account with the vendor is used up: top it up, or raise its spending limit.",
        "dashscope": "The Alibaba Cloud account is in arrears: top it up in the billing console.",
        "ark": "The Volcengine account is overdue: pay in its billing centre.",
        "spark": "Today's limit of SPARK_APP_ID is used up: wait until midnight in China, or raise it in the vendor's"
        " console.",
    }


def test_a_model_that_is_not_opened_is_told(vendors: Vendors) -> None:
    """And where to open it, or which setting names another."""
    assert isinstance(vendors["ark"], ArkSimulator)
    assert isinstance(vendors["spark"], SparkSimulator)
    vendors["spark"].opened = {"lite"}
    vendors["dashscope"].play(Fault(status=403, code="Model.AccessDenied"))
    found = faults(
        vendors, OPENAI_MODEL="gpt-none", DEEPSEEK_MODEL="deepseek-none", ARK_ENDPOINT=NOT_OPEN, SPARK_VERSION="ultra"
    )
    assert "no such model" in found["openai"]
    assert "no such model" in found["deepseek"]
    assert "open it in the Model Studio console" in found["dashscope"]
    assert "open it in the Ark console" in found["ark"]
    assert "This version of Spark is not opened" in found["spark"]


def test_a_clock_that_is_off_and_a_wrong_address_are_told_apart_from_a_wrong_key(vendors: Vendors) -> None:
    """Spark refuses all three in the handshake."""
    spark = vendors["spark"]
    assert isinstance(spark, SparkSimulator)
    assert "check SPARK_VERSION and SPARK_BASE_URL" in faults(vendors, SPARK_BASE_URL=f"{spark.ws_url}/v9")["spark"]
    spark.play(SparkFault(error_after=0, code="10003"))
    assert "path and domain do not match" in faults(vendors)["spark"]
    spark.now = lambda: time.time() + 1_000
    assert "set the clock" in faults(vendors)["spark"]


def test_a_vendor_that_is_not_there_is_told(vendors: Vendors, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the reader's language; also a server of one's own."""
    away = {name: value for vendor in (*ASKED, *LISTED) for name, value in SIMULATED[vendor]("http://127.0.0.1:9").items()}
    found = faults(vendors, **away)
    assert set(found) == {*ASKED, *LISTED}
    assert all(text.startswith("Nothing answers at its address") for text in found.values())
    monkeypatch.setattr(run, "CHINESE", True)
    _, *chinese = doctor.vendor_findings(away, offline=False)
    assert all("：其地址无法连接：" in finding.text for finding in chinese)


def test_the_default_model_is_asked_too(vendors: Vendors) -> None:
    """It is what users meet."""
    said(vendors, DEFAULT_MODEL="gpt-4o")
    assert {call.json["model"] for call in vendors["openai"].calls} == {"gpt-4o-mini", "gpt-4o"}
