"""The units: systemd takes them, they close what they can, and the server takes the socket it is given."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.deploy.proxies import DEPLOY
from tests.deploy.settings import names_of_settings
from tests.owned import free_port, program, wait_until
from tests.processes import ROOT, _bare_environment
from tests.redis_server import redis_url  # noqa: F401

SERVICE = (DEPLOY / "systemd" / "parley.service").read_text("utf-8")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Copies that speak of a program which exists here."""
    app = tmp_path / "app"
    (app / ".venv" / "bin").mkdir(parents=True)
    (app / ".venv" / "bin" / "python").symlink_to(sys.executable)
    for path in (DEPLOY / "systemd").iterdir():
        (tmp_path / path.name).write_text(path.read_text("utf-8").replace("/opt/parley", str(app)), "utf-8")
    return tmp_path


def test_systemd_takes_them(units: Path) -> None:
    """Every word is known to it."""
    checked = _analyze("verify", units / "parley.service", units / "parley.socket")
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_service_is_closed_in(units: Path) -> None:
    """systemd's own measure of what a broken-into service could do: 10 is anything."""
    said = _analyze("security", "--offline=true", units / "parley.service").stdout
    exposure = re.search(r"exposure level for parley.service: ([\d.]+)", said)
    assert exposure is not None, said
    assert float(exposure[1]) < 2


def test_it_has_the_time_it_needs_to_end() -> None:
    """More than `DRAIN_S` and what a worker takes besides; and its settings are the server's."""
    (stop_s,) = re.findall(r"^TimeoutStopSec=(\d+)$", SERVICE, re.MULTILINE)
    assert int(stop_s) > 5 + 15
    names = set(re.findall(r"(?<=[= ])([A-Z_]+)=", " ".join(re.findall(r"^Environment=.*$", SERVICE, re.MULTILINE))))
    assert names - {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"} <= names_of_settings()


@pytest.mark.parametrize("workers", [1, 2])
def test_the_server_takes_the_socket_it_is_given(tmp_path: Path, workers: int, redis_url: str) -> None:  # noqa: F811
    """Before it starts, connections wait; after it ended, the port is still there."""
    port = free_port()
    settings = {"DATA_DIR": str(tmp_path / "data"), "PORT": str(port), "WORKERS": str(workers)}
    settings |= {"REDIS_URL": redis_url, "REDIS_PREFIX": str(tmp_path)} if workers > 1 else {}
    env = {**_bare_environment(), **settings}
    command = [program("systemd-socket-activate", "systemd"), "-l", f"127.0.0.1:{port}"]
    command += [f"-E{name}={value}" for name, value in env.items()]
    log = tmp_path / "log"
    with log.open("wb") as output:
        server: Any = subprocess.Popen(
            [*command, sys.executable, "server.py", "serve"], cwd=ROOT, env=env, stdout=output, stderr=output
        )
    try:
        wait_until(lambda: "Listening on" in log.read_text(), log.read_text, lambda: server.poll() is None)
        assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=30).ok  # this very request made it start
        wait_until(lambda: "Parley is ready" in log.read_text(), log.read_text, lambda: server.poll() is None)
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0, log.read_text()
    finally:
        server.kill()


def _analyze(*arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [program("systemd-analyze", "systemd"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)
