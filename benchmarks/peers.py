"""The servers that are compared: how each is started against the simulated vendor."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.processes import ROOT, PeerFailed, free_port, running

MODEL = "benchmark"
_NODE = ROOT / "benchmarks" / "node_relay"

Peer = Callable[[int, Path], AbstractContextManager[tuple[int, int]]]
"""Runs a server for a vendor's port with a folder of its own; gives its process id and its port."""


@contextmanager
def node(vendor_port: int, folder: Path) -> Iterator[tuple[int, int]]:
    """The bare Node relay."""
    install_node_relay()
    port = free_port()
    env = {**_vendor(vendor_port), **_address(port), "NODE_ENV": "production"}
    with running(["node", "relay.js"], port=port, log=folder / "node.log", cwd=_NODE, env=env) as pid:
        yield pid, port


@contextmanager
def parley(vendor_port: int, folder: Path) -> Iterator[tuple[int, int]]:
    """This server as a user runs it: one worker, SQLite, no Redis. Only what would refuse the load is lifted."""
    port = free_port()
    env = {**_vendor(vendor_port), **parley_environment(folder, port)}
    with running([sys.executable, "server.py", "serve"], port=port, log=folder / "parley.log", env=env) as pid:
        yield pid, port


def parley_environment(folder: Path, port: int) -> dict[str, str]:
    """This server's settings for a load, but for its vendors."""
    return {
        **_address(port),
        "OPENAI_MODEL": MODEL,
        "DEFAULT_MODEL": MODEL,
        "BENCHMARK_MODELS": "1",  # for the recogniser that hears nothing
        "DATA_DIR": str(folder / "data"),
        "RATE_LIMIT_ENABLED": "0",
        "INITIAL_TOKENS": "1000000000",
        "LOG_LEVEL": "warning",
        # What a developer's .env may set must not change what is measured.
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "REDIS_HOST": "",
        "ALLOW_GUESTS": "true",
        "DEBUG": "",
    }


PEERS: dict[str, Peer] = {"node": node, "parley": parley}


def install_node_relay() -> None:
    """Install the Node relay's locked packages unless they are there.

    Raises:
        PeerFailed: npm is missing or failed.
    """
    if (_NODE / "node_modules" / "socket.io").is_dir():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise PeerFailed("The Node relay needs npm and Node 18 or newer.")
    command = [npm, "ci", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=_NODE, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeerFailed(f"npm ci failed:\n{done.stderr[-2000:]}")


def _vendor(port: int) -> dict[str, str]:
    return {"OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1", "OPENAI_API_KEY": "x"}


def _address(port: int) -> dict[str, str]:
    return {"HOST": "127.0.0.1", "PORT": str(port)}
