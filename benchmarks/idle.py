"""Memory that a connection costs which has joined and says nothing."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.crowd import Crowd
from benchmarks.peers import PEERS
from benchmarks.processes import PeerFailed, cost, free_port, machine, raise_descriptor_limit
from benchmarks.script import Script
from benchmarks.socketio_frames import PeerBroke
from benchmarks.viewer import Tally, Viewer

_FIRST = 100  # connections made before the first reading, so that code and caches loaded once are not counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--peers", nargs="*", choices=sorted(PEERS), default=["node", "parley"])
    parser.add_argument("--hold", type=float, default=5, help="seconds everybody stays silent before the last reading")


def run(options: argparse.Namespace) -> int:
    """Print a line for each server; the exit status."""
    raise_descriptor_limit()
    print(f"{options.connections} idle connections\n{machine()}\n")
    print("server    kB a connection  RSS MB  connections/s  CPU ms a connection  CPU while idle", flush=True)
    for name in options.peers:
        with (
            tempfile.TemporaryDirectory(prefix="benchmark-") as folder,
            PEERS[name](free_port(), Path(folder)) as (pid, port),
        ):
            print(f"{name:8}  {_hold(pid, port, options)}", flush=True)
    return 0


def _hold(pid: int, port: int, options: argparse.Namespace) -> str:
    first, rest = (_crowd(count, port) for count in (_FIRST, options.connections))
    try:
        first.join(limit_s=60)
        before, begun = cost(pid), time.monotonic()
        rest.join(limit_s=120)
        joined, took_s = cost(pid), time.monotonic() - begun
        silent = time.monotonic() + options.hold
        rest.read_until(lambda: time.monotonic() >= silent, limit_s=options.hold + 5, doing="holding")
        after = cost(pid)
    except PeerBroke as fault:
        raise PeerFailed(str(fault)) from fault
    finally:
        first.close()
        rest.close()
    return (
        f"{(after.rss_bytes - before.rss_bytes) / options.connections / 1e3:15.1f}  {after.rss_bytes / 1e6:6.0f}"
        f"  {options.connections / took_s:13.0f}  {(joined.cpu_s - before.cpu_s) / options.connections * 1e3:19.2f}"
        f"  {(after.cpu_s - joined.cpu_s) / options.hold:14.1%}"
    )


def _crowd(count: int, port: int) -> Crowd:
    viewers = [Viewer(Script(number, 1), sent=None, tally=Tally()) for number in range(count)]
    return Crowd(viewers, host="127.0.0.1", port=port)
