"""The keeper with workers that do as the test says, where the whole server would take longer."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from tests.processes import ROOT
from tests.sockets.serving.conftest import wait_until

Keeper = Callable[..., "subprocess.Popen[str]"]

SERVES = """
import os, signal, threading
def say(line):
    os.write(1, f"{line}\\n".encode())  # in one piece, whatever the other workers say
def run(post):
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    if post.first_word.take():
        say(f"ready {sorted(post.listeners)}")
    say(f"up {os.getpid()}")
    while not ended.wait(0.05):
        post.beat()
    say(f"{'all' if post.last_word.was_said else 'one'} {os.getpid()}")
"""
HANGS = """
def run(post):
    post.beat()
    print("up", flush=True)
    while True:
        pass
"""
FAILS_LATER = """
import os
def run(post):
    if not post.first_word.take():
        raise RuntimeError("not again")
    print("ready", flush=True)
    post.beat()
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keeper]:
    """Start a keeper of workers that run `source`; its log is `tmp_path / "log"`."""
    kept = []

    def start(source: str, **plan: Any) -> subprocess.Popen[str]:
        (tmp_path / "acted.py").write_text(source)
        with socket.create_server(("127.0.0.1", 0)) as listener, (tmp_path / "log").open("w") as log:
            plan = {"target": "acted:run", "workers": 2, "drain_s": 0, "log_level": "info", **plan}
            plan["listeners"] = [listener.fileno()]
            process = subprocess.Popen(
                [sys.executable, "-m", "sockets.serving.supervisor", json.dumps(plan)],
                env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}", "PYTHONDONTWRITEBYTECODE": "1"},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
        kept.append(process)
        return process

    yield start
    for process in kept:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def lines(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout is not None
    with gevent.Timeout(20):
        return [process.stdout.readline().rstrip("\n") for _ in range(count)]


def pids(said: list[str], word: str) -> set[int]:
    return {int(line.split()[1]) for line in said if line.startswith(f"{word} ")}


def test_one_worker_alone_says_that_all_is_ready(keep: Keeper) -> None:
    said = lines(keep(SERVES, workers=3), 4)
    assert len([line for line in said if line.startswith("ready [")]) == 1
    assert len(pids(said, "up")) == 3


def test_a_hangup_has_every_worker_replaced_by_the_code_that_is_there_now(keep: Keeper, tmp_path: Path) -> None:
    """As many serve at every moment: none is told to go before another is up. Only a whole end is called one."""
    keeper = keep(SERVES)
    old = pids(lines(keeper, 3), "up")
    (tmp_path / "acted.py").write_text(SERVES.replace('"up ', '"new '))
    keeper.send_signal(signal.SIGHUP)
    said = lines(keeper, 4)
    new = pids(said, "new")
    assert pids(said, "one") == old
    assert len(new) == 2
    assert said[0].startswith("new ")
    keeper.send_signal(signal.SIGTERM)
    assert pids(lines(keeper, 2), "all") == new
    assert keeper.wait(20) == 0


def test_a_reload_that_cannot_start_leaves_the_old_workers_serving(keep: Keeper, tmp_path: Path) -> None:
    keeper = keep(SERVES)
    old = pids(lines(keeper, 3), "up")
    (tmp_path / "acted.py").write_text("raise RuntimeError('broken on the disk')")
    keeper.send_signal(signal.SIGHUP)
    log = tmp_path / "log"
    wait_until(lambda: log.read_text().count("A worker ends; another will try: broken on the disk") >= 3, 20)
    assert all(Path(f"/proc/{pid}").exists() for pid in old)
    (tmp_path / "acted.py").write_text(SERVES)
    said = lines(keeper, 4)
    assert pids(said, "one") == old
    assert len(pids(said, "up")) == 2


def test_a_worker_that_hangs_says_where_and_is_replaced(keep: Keeper, tmp_path: Path) -> None:
    keeper = keep(HANGS, workers=1, silence_s=1)
    assert lines(keeper, 2) == ["up", "up"]
    log = (tmp_path / "log").read_text()
    assert "WORKER TIMEOUT" in log
    assert re.search(r'acted\.py", line \d in run', log)


def test_ctrl_c_ends_in_good_order(keep: Keeper) -> None:
    """A terminal sends it to all of them at once."""
    keeper = keep(SERVES)
    up = pids(lines(keeper, 3), "up")
    os.killpg(keeper.pid, signal.SIGINT)
    assert pids(lines(keeper, 2), "all") == up
    assert keeper.wait(20) == 0


def test_workers_hear_it_when_their_keeper_is_killed(keep: Keeper) -> None:
    source = SERVES.replace("post.beat()", "ended.set() if post.last_word.was_said else post.beat()")
    keeper = keep(source)
    up = pids(lines(keeper, 3), "up")
    keeper.kill()
    assert pids(lines(keeper, 2), "all") == up


def test_a_worker_that_fails_after_the_start_is_tried_again(keep: Keeper, tmp_path: Path) -> None:
    keeper = keep(FAILS_LATER, workers=1)
    assert lines(keeper, 1) == ["ready"]
    log = tmp_path / "log"
    wait_until(lambda: log.read_text().count("another will try: not again") >= 2, 20)
    keeper.send_signal(signal.SIGTERM)
    assert keeper.wait(20) == 0


def test_one_process_knows_nothing_of_the_keeper() -> None:
    code = "import server, sys; print([name for name in sys.modules if name.startswith('gunicorn')])"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "[]"
