"""Settings: every name is read, documented and checked before the port opens."""

from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import config
from services.settings_catalogue import Entry, Group, documented, env_example, groups

ROOT = Path(__file__).resolve().parents[1]
ENTRIES = [(group, entry) for group in groups() for entry in group.entries()]
NAMES = [f"{group.slice_type.__name__}-{entry.name}" for group, entry in ENTRIES]

PROMISED = set(
    """
HOST PORT DEBUG FLASK_SECRET_KEY ALLOWED_ORIGINS DASHSCOPE_API_KEY DASHSCOPE_BASE_URL DEEPSEEK_API_KEY
DEEPSEEK_BASE_URL DEEPSEEK_MODEL OPENAI_API_KEY OPENAI_BASE_URL QWEN_MODEL SD_MODEL MAX_HISTORY SYSTEM_PROMPT
TEMPERATURE REDIS_HOST REDIS_PORT REDIS_DB REDIS_PASSWORD DATA_DIR DATABASE_URL REDIS_URL ALLOW_GUESTS
INITIAL_TOKENS INITIAL_PICTURES RATE_LIMIT_ENABLED DEFAULT_MODEL BENCHMARK_MODELS LOG_LEVEL
""".split()  # noqa: SIM905 - a list of thirty quoted names reads worse
)


def field_value(group: Group, entry: Entry, env: dict[str, str]) -> Any:
    """What the slice holds for an entry when read from `env`."""
    values: Any = config.read(group.slice_type, env, group.prefix)
    names = [config.name_of(field, group.prefix) for field in values.__dataclass_fields__.values()]
    return getattr(values, list(values.__dataclass_fields__)[names.index(entry.name)])


def another(group: Group, entry: Entry) -> str:
    """A value that is allowed and not the default."""
    if entry.kind is bool:
        return "false" if entry.default == "true" else "true"
    if "," in entry.rule:
        return next(choice for choice in entry.rule.split(", ") if choice != entry.default)
    if entry.kind in (int, float, float | None):
        low = entry.rule.removeprefix("at least ").split(" to ")[0]
        return low if low and float(low) != float(entry.default or -1) else str(int(float(low or 0)) + 1)
    return "something-else"


@pytest.mark.parametrize(("group", "entry"), ENTRIES, ids=NAMES)
def test_a_setting_is_read_under_its_name(group: Group, entry: Entry) -> None:
    """Setting the variable changes what the program holds."""
    assert field_value(group, entry, {entry.name: another(group, entry)}) != field_value(group, entry, {})


@pytest.mark.parametrize(("group", "entry"), ENTRIES, ids=NAMES)
def test_the_documented_default_is_the_default(group: Group, entry: Entry) -> None:
    """Uncommenting a line of `.env.example` changes nothing."""
    assert field_value(group, entry, {entry.name: entry.default}) == field_value(group, entry, {})


def test_every_promised_name_is_a_setting() -> None:
    """The names people already use, and ours."""
    assert PROMISED - {entry.name for _, entry in ENTRIES} == set()


def test_a_variable_of_several_slices_means_the_same_in_each() -> None:
    """One name, one default, one sentence."""
    facts = {(entry.name, entry.default, entry.meaning, entry.rule) for _, entry in ENTRIES}
    assert [name for name, count in Counter(fact[0] for fact in facts).items() if count > 1] == []


def test_env_example_lists_every_setting_as_it_is() -> None:
    """`python -m services.settings_catalogue` writes it anew."""
    assert (ROOT / ".env.example").read_text("utf-8") == env_example()


def test_the_page_on_configuration_lists_every_setting_as_it_is() -> None:
    """`python -m services.settings_catalogue` writes it anew."""
    page = (ROOT / "docs/configuration.md").read_text("utf-8")
    assert page == documented(page)


def test_no_slice_is_left_out() -> None:
    """Every class with settings is in the catalogue, itself or through a class that extends it."""
    declared = set()
    for folder in ("services", "sockets", "blueprints", "db"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef) and "setting(" in ast.unparse(node).replace("def setting(", ""):
                    fields = [part for part in node.body if isinstance(part, ast.AnnAssign) and part.value]
                    if any("setting(" in ast.unparse(part) for part in fields):
                        declared.add(node.name)
    assert declared <= {kind.__name__ for group in groups() for kind in group.slice_type.__mro__}


def test_only_config_reads_the_environment() -> None:
    """Values come from slices; the two that start others' programs pass it on whole."""
    readers = {
        path.relative_to(ROOT).as_posix()
        for folder in ("services", "sockets", "blueprints", "db")
        for path in (ROOT / folder).rglob("*.py")
        if "environ" in path.read_text("utf-8") and "os.environ" in path.read_text("utf-8")
    }
    assert readers == set()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "abc", "PORT must be a whole number, not 'abc'."),
        ("PORT", "65536", "PORT must be from 0 to 65535, not 65536."),
        ("DEBUG", "maybe", "DEBUG must be true or false, not 'maybe'."),
        ("LOG_LEVEL", "loud", "LOG_LEVEL must be one of debug, info, warning, error, not 'loud'."),
        ("TEMPERATURE", "nan", "TEMPERATURE must be a number, not 'nan'."),
        ("TURN_TIMEOUT_S", "inf", "TURN_TIMEOUT_S must be a number, not 'inf'."),
        ("MAX_HISTORY", "0", "MAX_HISTORY must be from 1 to 1000, not 0."),
        ("ALLOW_GUESTS", "perhaps", "ALLOW_GUESTS must be one of"),
        ("DATABASE_URL", "postgresql://x", "DATABASE_URL must begin with sqlite:/// or mysql+pymysql://."),
        ("REDIS_URL", "127.0.0.1", "REDIS_URL must begin with redis://"),
        ("HOST", "0.0.0.0", "FLASK_SECRET_KEY must be set when HOST is 0.0.0.0"),
        ("HOST", "::", "FLASK_SECRET_KEY must be set when HOST is ::"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: str, said: str) -> None:
    """The sentence begins with the variable and says what it must be."""
    with pytest.raises(config.ConfigError) as refused:
        config.load({name: value})
    assert str(refused.value).startswith(said)
    assert refused.value.chinese.startswith(refused.value.name)


def test_choices_do_not_depend_on_case() -> None:
    assert config.load({"LOG_LEVEL": "INFO", "ALLOW_GUESTS": "False"}).guests_allowed is False


def test_a_secret_is_never_shown() -> None:
    """A `repr` ends up in logs and tracebacks."""
    values = {entry.name: "s3cret-" + entry.name for _, entry in ENTRIES if entry.secret}
    for group in groups():
        assert "s3cret" not in repr(config.read(group.slice_type, values, group.prefix))


def test_guests_are_let_in_on_a_loopback_address_only() -> None:
    """By default; whoever opens the server to others decides for themselves."""
    assert config.load({}).guests_allowed
    assert config.load({"HOST": "::1"}).guests_allowed
    assert not config.load({"HOST": "0.0.0.0", "FLASK_SECRET_KEY": "x" * 32}).guests_allowed
    assert config.load({"HOST": "0.0.0.0", "FLASK_SECRET_KEY": "x" * 32, "ALLOW_GUESTS": "true"}).guests_allowed


def test_redis_is_one_address_however_it_is_given() -> None:
    assert config.load({}).redis.address == ""
    four = {"REDIS_HOST": "cache", "REDIS_PORT": "6380", "REDIS_DB": "2", "REDIS_PASSWORD": "a/b c"}
    assert config.load(four).redis.address == "redis://:a%2Fb%20c@cache:6380/2"
    assert config.load({**four, "REDIS_URL": "redis://other"}).redis.address == "redis://other"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "6001")
    (tmp_path / ".env").write_text("PORT=6002\nMAX_HISTORY=7\n")
    env = config.environment(tmp_path)
    assert (env["PORT"], env["MAX_HISTORY"]) == ("6001", "7")


def test_the_file_is_read_as_people_write_it(tmp_path: Path) -> None:
    """Quotes, comments, `export` and a byte order mark."""
    lines = [
        "# note", "", "A=1", "export B = two words ", "C='# not a comment'  # one", 'D="x=y"', "E= # nothing", "F=a#b"
    ]  # fmt: skip
    (tmp_path / ".env").write_text("\ufeff" + "\r\n".join(lines), "utf-8")
    assert config.environment_file(tmp_path) == {
        "A": "1", "B": "two words", "C": "# not a comment", "D": "x=y", "E": "", "F": "a#b",
    }  # fmt: skip


@pytest.mark.parametrize(("text", "said"), [(b"PORT 5000\n", ".env line 1"), (b"A=\xff\n", ".env cannot be read")])
def test_a_broken_file_is_refused(tmp_path: Path, text: bytes, said: str) -> None:
    (tmp_path / ".env").write_bytes(text)
    with pytest.raises(config.ConfigError, match=said):
        config.environment(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "abc"), ("DATABASE_URL", "x://"), ("CONNECT_TIMEOUT_S", "soon"), ("MODEL_CHAINS", "=")]
)
def test_the_server_refuses_before_the_port_opens(tmp_path: Path, name: str, value: str) -> None:
    """It names the setting, whether of the core or of a vendor, and never listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    env = {**os.environ, "PORT": port, "DATA_DIR": str(tmp_path), name: value}
    done = subprocess.run(
        [sys.executable, "server.py", "serve"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode not in (0, None)
    assert name in done.stderr
    assert "Traceback" not in done.stderr
    assert "http://" not in done.stdout
