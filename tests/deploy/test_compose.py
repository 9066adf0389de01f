"""`compose.yaml`: well-formed, its parts agree with each other and with the server's settings, its Redis starts."""

from __future__ import annotations

import re
import subprocess
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

import config
from tests.deploy.images import ROOT
from tests.deploy.settings import names_of_settings
from tests.owned import OwnedProcess, program

FILE = ROOT / "compose.yaml"
SECRETS = {
    "FLASK_SECRET_KEY": "f" * 48,
    "REDIS_PASSWORD": "r" * 48,
    "MYSQL_PASSWORD": "m" * 48,
    "MYSQL_ROOT_PASSWORD": "o" * 48,
}


@pytest.fixture
def compose() -> Any:
    return yaml.safe_load(FILE.read_text("utf-8"))


def test_it_follows_the_specification() -> None:
    """Compose's own schema."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout


def test_secrets_come_from_the_env_file_only(compose: Any) -> None:
    """Without one of them nothing starts, and the top of the file says how each is made."""
    asked = set(re.findall(r"\$\{(\w+):\?", FILE.read_text()))
    made = re.search(r"for name in ([A-Z_ ]+); do", FILE.read_text())
    assert made is not None
    assert asked == set(SECRETS) <= set(made[1].split())
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|TOKEN", name):
                assert value.startswith("${")
    assert compose["services"]["parley"]["env_file"] == ".env"


def test_the_server_takes_these_settings(compose: Any) -> None:
    """All of them are settings, and together they are a server that starts."""
    environment = _filled(compose["services"]["parley"]["environment"])
    assert set(environment) <= names_of_settings()
    settings = config.load(environment)
    assert settings.server.workers == 2
    assert settings.redis.address == f"redis://:{SECRETS['REDIS_PASSWORD']}@redis:6379/0"
    stop_s = int(compose["services"]["parley"]["stop_grace_period"].removesuffix("s"))
    assert stop_s > settings.server.drain_s + 15


def test_the_parts_find_each_other(compose: Any) -> None:
    """Addresses, ports, and which starts after which."""
    services, (subnet,) = compose["services"], compose["networks"]["inner"]["ipam"]["config"]
    proxy = services["nginx"]["networks"]["inner"]["ipv4_address"]
    assert services["parley"]["environment"]["TRUSTED_PROXIES"] == proxy
    for name in ("nginx", "parley"):
        assert ip_address(services[name]["networks"]["inner"]["ipv4_address"]) in ip_network(subnet["subnet"])
    port = services["parley"]["environment"]["PORT"]
    assert f"server parley:{port} " in (ROOT / "deploy/nginx/upstream.compose.conf").read_text()
    for service in services.values():
        assert service["restart"] == "unless-stopped"
        for needed, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert needed == "parley" or "healthcheck" in services[needed]  # the image brings its own
        for mount in service.get("volumes", ()):
            source = mount.partition(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in compose["volumes"]


class ComposedRedis(OwnedProcess):
    """Started by the line of the file, on a port of its own."""

    def __init__(self, folder: Path, service: Any) -> None:
        super().__init__(folder)
        self._service = service

    def command(self) -> list[str]:
        shell, option, line = self._service["command"]
        server = f"{program('redis-server', 'redis-server')} --port {self.port} --bind 127.0.0.1 --dir {self.folder}"
        return ["env", *self._env(), shell, option, _unescaped(line).replace("redis-server", f"exec {server}", 1)]

    def answers(self) -> bool:
        kind, line = self._service["healthcheck"]["test"]
        assert kind == "CMD-SHELL"
        line = _unescaped(line).replace("redis-cli", f"{program('redis-cli', 'redis-tools')} -p {self.port}")
        return not subprocess.run(["env", *self._env(), "sh", "-c", line], capture_output=True, timeout=30).returncode

    def ask(self, *words: str, password: str) -> str:
        command = [program("redis-cli", "redis-tools"), "-p", str(self.port), *words]
        env = {"REDISCLI_AUTH": password} if password else {}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=30).stdout

    def _env(self) -> list[str]:
        return [f"{name}={value}" for name, value in _filled(self._service["environment"]).items()]


def test_its_redis_is_closed_and_keeps_what_it_has(compose: Any, tmp_path: Path) -> None:
    """A password, a limit beyond which it refuses instead of forgetting, and a file that outlives it."""
    password = SECRETS["REDIS_PASSWORD"]
    with ComposedRedis(tmp_path / "redis", compose["services"]["redis"]) as redis:
        assert "NOAUTH" in redis.ask("PING", password="")
        assert "noeviction" in redis.ask("CONFIG", "GET", "maxmemory-policy", password=password)
        assert str(256 * 1024 * 1024) in redis.ask("CONFIG", "GET", "maxmemory", password=password)
        assert "yes" in redis.ask("CONFIG", "GET", "appendonly", password=password)
        redis.ask("SET", "kept", "so", password=password)
        redis.restart()
        assert "so" in redis.ask("GET", "kept", password=password)


def _filled(environment: dict[str, str]) -> dict[str, str]:
    """With `${NAME:?...}` and `${NAME:-default}` as Compose reads them."""

    def value(match: re.Match[str]) -> str:
        return SECRETS.get(match[1], match[3] if match[2] == ":-" else "")

    return {name: re.sub(r"\$\{(\w+)(:[-?])([^}]*)\}", value, text) for name, text in environment.items()}


def _unescaped(line: str) -> str:
    return line.replace("$$", "$")
