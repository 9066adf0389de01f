"""Memory of several workers and their Redis with many sockets and answers, within a limit where one can be set."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.crowd import Crowd
from benchmarks.load import WARM_S, pieces_for
from benchmarks.peers import MODEL, parley_environment
from benchmarks.processes import (
    PeerFailed,
    family_of,
    free_port,
    machine,
    raise_descriptor_limit,
    running,
)
from benchmarks.relay import vendor
from benchmarks.script import Script
from benchmarks.sent import SentTimes
from benchmarks.socketio_frames import PeerBroke
from benchmarks.viewer import Tally, Viewer

_FIRST = 100  # connections made before the first reading, so that code and caches loaded once are not counted
_CGROUPS = (  # the folder, the limit's file, the highest use's file, of version 2 and version 1
    (Path("/sys/fs/cgroup"), "memory.max", "memory.peak"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.max_usage_in_bytes"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sockets", type=int, default=2000, help="connections that say nothing")
    parser.add_argument("--streams", type=int, default=100, help="answers running at once, each with a viewer")
    parser.add_argument("--rate", type=float, default=20, help="pieces a second of each answer")
    parser.add_argument("--seconds", type=float, default=8, help="span all answers run")
    parser.add_argument("--limit-mb", type=int, default=1000, help="memory of all together; 0 for no limit")


def run(options: argparse.Namespace) -> int:
    """Print what each process holds while all answers run; 1 when something did not fit."""
    raise_descriptor_limit()
    print(f"{options.workers} workers, Redis, {options.sockets} idle sockets, {options.streams} running answers")
    print(f"{machine()}\n", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-") as name,
        _limited(options.limit_mb) as limit,
        _servers(options, Path(name), limit) as (pids, port),
    ):
        return _measured(options, port, pids, limit, Path(name) / "sent")


@dataclass(frozen=True, slots=True)
class Limit:
    """A control group that everything measured lives in. Its memory counts what the kernel holds for it, too."""

    folder: Path
    peak: str

    def command(self, command: list[str]) -> list[str]:
        """The command, run within."""
        return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(self.folder / "cgroup.procs"), *command]

    @property
    def peak_mb(self) -> float:
        return int((self.folder / self.peak).read_text()) / 1e6


@contextmanager
def _limited(limit_mb: int) -> Iterator[Limit | None]:
    """A limit without swap, where this machine lets us have one."""
    for parent, setting, peak in _CGROUPS if limit_mb else ():
        folder = parent / f"parley-benchmark-{free_port()}"
        if not (parent / "cgroup.procs").exists():
            continue
        with suppress(OSError):
            folder.mkdir()
            try:
                (folder / setting).write_text(str(limit_mb * 1_000_000))
                with suppress(OSError):
                    (folder / "memory.swap.max").write_text("0")
                print(f"All of it within {limit_mb} MB.", flush=True)
                yield Limit(folder, peak)
                return
            finally:
                _remove(folder)
    print("No limit is set.", flush=True)
    yield None


def _remove(folder: Path) -> None:
    """Once the kernel has noticed that its last process is gone."""
    for _ in range(50):
        with suppress(OSError):
            folder.rmdir()
            return
        time.sleep(0.1)


@contextmanager
def _servers(options: argparse.Namespace, folder: Path, limit: Limit | None) -> Iterator[tuple[dict[str, int], int]]:
    """Redis, the vendor and the server: the process ids of what is measured, and the server's port."""
    redis_port, vendor_port, port = free_port(), free_port(), free_port()
    within = limit.command if limit is not None else list
    env = {
        **parley_environment(folder, port),
        "OPENAI_BASE_URL": f"http://127.0.0.1:{vendor_port}/v1",
        "OPENAI_API_KEY": "x",
        "WORKERS": str(options.workers),
        "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
    }
    redis_server = [
        "redis-server",
        "--port",
        str(redis_port),
        "--dir",
        str(folder),
        "--appendonly",
        "yes",
        "--save",
        "",
    ]
    with (
        running(within(redis_server), port=redis_port, log=folder / "redis.log") as redis_pid,
        vendor(options, vendor_port, folder),
        running(
            within([sys.executable, "server.py", "serve"]), port=port, log=folder / "parley.log", env=env
        ) as server_pid,
    ):
        yield {"Redis": redis_pid, "server": server_pid}, port


def _measured(
    options: argparse.Namespace, port: int, pids: dict[str, int], limit: Limit | None, sent_file: Path
) -> int:
    pieces = pieces_for(options.seconds, options.rate)
    sent, tally = SentTimes(sent_file, streams=options.streams, pieces=pieces), Tally()
    first, idle = (_crowd([_silent(number) for number in range(count)], port) for count in (_FIRST, options.sockets))
    streams = [Viewer(Script(number, pieces), sent=sent, tally=tally) for number in range(options.streams)]
    busy = _crowd(streams, port)
    try:
        _await_workers(port, options.workers)
        first.join(limit_s=30)
        _print("at first", before := _held(pids))
        idle.join(limit_s=60)
        _print("with the idle sockets", silent := _held(pids))
        busy.join(limit_s=30)
        busy.start(model=MODEL, window_ms=None, limit_s=30)
        busy.read_until(lambda: tally.first == options.streams, limit_s=20, doing="waiting for every first piece")
        warm = time.monotonic() + WARM_S + options.seconds / 2
        busy.read_until(lambda: time.monotonic() > warm, limit_s=WARM_S + options.seconds, doing="streaming")
        _print("while all answers run", full := _held(pids))
        busy.read_until(
            lambda: all(one.stage == "ended" for one in streams), limit_s=60, doing="waiting for every ending"
        )
        still = time.monotonic() + 1
        idle.read_until(lambda: time.monotonic() > still, limit_s=5, doing="looking after the idle sockets")
        _print("when all have ended", _held(pids))
    except PeerBroke as fault:
        raise PeerFailed(str(fault)) from fault
    finally:
        for crowd in (first, idle, busy):
            crowd.close()
    kb = sum(silent.values()) - sum(before.values())
    print(f"\n{kb * 1e3 / options.sockets:.1f} kB for each idle socket, all processes together", flush=True)
    if limit is not None:
        print(f"{limit.peak_mb:.0f} MB at most, as the kernel counts, its own buffers and cached files included")
    return 1 if options.limit_mb and sum(full.values()) > options.limit_mb else 0


def _await_workers(port: int, count: int) -> None:
    """Until all of them answer when one is asked for the metrics."""
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            if answer.read().count(b"\nparley_connections{") == count:
                return
        time.sleep(0.1)
    raise PeerFailed("Not all workers came up.")


def _silent(number: int) -> Viewer:
    return Viewer(Script(number, 1), sent=None, tally=Tally())


def _crowd(viewers: list[Viewer], port: int) -> Crowd:
    return Crowd(viewers, host="127.0.0.1", port=port)


def _held(pids: dict[str, int]) -> dict[str, float]:
    """MB by process: proportional set size, which counts what several share once."""
    held: dict[str, float] = {}
    for name, pid in pids.items():
        for number, member in enumerate(family_of(pid)):
            told = Path(f"/proc/{member}/smaps_rollup").read_text()
            size = re.search(r"^Pss:\s+(\d+) kB", told, re.MULTILINE)
            assert size is not None
            held[f"{name} {number}" if number else name] = int(size[1]) * 1024 / 1e6
    return held


def _print(when: str, held: dict[str, float]) -> None:
    rows = "  ".join(f"{name} {size:.1f}" for name, size in held.items())
    print(f"{when:24}  {sum(held.values()):6.1f} MB   {rows}", flush=True)
