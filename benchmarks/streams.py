"""Many answers of each simulated vendor at once on one worker, while another client's latency is watched."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.crowd import Crowd
from benchmarks.peers import parley_environment
from benchmarks.processes import (
    ROOT,
    PeerFailed,
    cost,
    free_port,
    free_ports,
    machine,
    machine_cpu_s,
    raise_descriptor_limit,
    running,
)
from benchmarks.script import Script
from benchmarks.socketio_frames import PeerBroke
from benchmarks.viewer import Tally, Viewer
from simulators.openai import answer_to

MODELS = {
    "openai": "gpt-4o-mini",
    "deepseek": "deepseek-chat",
    "dashscope": "qwen-plus",
    "ark": "doubao-1-5-pro-32k",
    "spark": "spark-lite",
    "ollama": "ollama/qwen2:7b",
    "vllm": "vllm/Qwen/Qwen2.5-7B-Instruct",
}
WARM_S = 1.0
SPARE_S = 4.0  # for starting all turns before the first answer ends
_HEAD = (
    "vendor     CPU us/piece  pieces/s  pieces/frame   other client ms: median    p99   longest while"
    "  starting  streaming  ending   CPU: server / simulators / load / others"
)


@dataclass(frozen=True, slots=True)
class Asked(Script):
    """An answer that a simulator is asked for by its directive: so many pieces, so many a second."""

    rate: float = 0.0

    @property
    def prompt(self) -> str:
        return f"Stream {self.stream} [[fault pieces={self.count} rate={self.rate:g}]]"

    def pieces(self) -> list[str]:
        return answer_to(self.prompt, self.count)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--rate", type=float, default=20, help="pieces a second of each stream")
    parser.add_argument("--seconds", type=float, default=8, help="span measured for each vendor")
    parser.add_argument("--vendors", nargs="*", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--others-at-most", type=float, default=9.0, help="repeat while other programs use more cores")
    parser.add_argument("--tries", type=int, default=4, help="runs made at most for one vendor")
    parser.add_argument("--stall-at-most", type=float, help="fail when the other client waited longer, in ms")


def run(options: argparse.Namespace) -> int:
    """Print a line for each vendor; the exit status."""
    raise_descriptor_limit()
    print(f"{options.streams} streams x {options.rate:g} pieces/s, {options.seconds:g} s for each vendor")
    print(f"{machine()}\n\n{_HEAD}", flush=True)
    longest = 0.0
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name, _simulators(Path(name)) as (vendor_pid, vendor_env):
        for vendor in options.vendors:
            runs: list[Watched] = []
            while not runs or (len(runs) < options.tries and runs[-1].others_share > options.others_at_most):
                runs.append(_one_run(options, vendor, Path(name) / f"{vendor}-{len(runs)}", vendor_pid, vendor_env))
            watched = min(runs, key=lambda run: run.others_share)
            longest = max(longest, watched.longest_ms)
            print(watched.line(vendor), flush=True)
    return 1 if options.stall_at_most is not None and longest > options.stall_at_most else 0


@dataclass(frozen=True, slots=True)
class Watched:
    """One vendor's run.

    Attributes:
        spent: Processor seconds of the server, the simulators, the load, everything else.
        waits: Of the other client: `(asked at, seconds)`.
        phases: When the turns began to be started, when all streamed, when the first ended, when all had.
    """

    seconds: float
    pieces: int
    frames: int
    spent: tuple[float, float, float, float]
    waits: list[tuple[float, float]]
    phases: tuple[float, float, float, float]

    @property
    def others_share(self) -> float:
        """Cores that everything else kept busy."""
        return self.spent[3] / self.seconds

    @property
    def longest_ms(self) -> float:
        return max(wait for at, wait in self.waits if at >= self.phases[0]) * 1e3

    def line(self, vendor: str) -> str:
        starting, streaming, ending = zip(self.phases, self.phases[1:], strict=False)
        steady = sorted(self._between(*streaming))
        longest = [max(self._between(*phase), default=0.0) for phase in (starting, streaming, ending)]
        shares = " / ".join(f"{spent / self.seconds:.0%}" for spent in self.spent)
        return (
            f"{vendor:9}  {self.spent[0] / self.pieces * 1e6:12.1f}  {self.pieces / self.seconds:8.0f}"
            f"  {self.pieces / self.frames:12.2f}"
            f"   {steady[len(steady) // 2]:23.1f}  {steady[len(steady) * 99 // 100]:5.1f}"
            f"  {longest[0]:23.1f}  {longest[1]:9.1f}  {longest[2]:6.1f}   {shares}"
        )

    def _between(self, since: float, until: float) -> list[float]:
        """Milliseconds waited for what was asked in a span, or was under way when it began."""
        return [wait * 1e3 for at, wait in self.waits if at + wait >= since and at < until]


def _one_run(
    options: argparse.Namespace, vendor: str, folder: Path, vendor_pid: int, vendor_env: dict[str, str]
) -> Watched:
    """A server of its own."""
    folder.mkdir()
    port = free_port()
    env = {**parley_environment(folder, port), **vendor_env, "OPENAI_MODEL": "", "DEFAULT_MODEL": ""}
    with running([sys.executable, "server.py", "serve"], port=port, log=folder / "parley.log", env=env) as pid:
        _wait_for_model(port, MODELS[vendor])
        return _watched(options, vendor, port, (pid, vendor_pid, os.getpid()))


def _watched(options: argparse.Namespace, vendor: str, port: int, pids: tuple[int, int, int]) -> Watched:
    count = round((WARM_S + options.seconds + SPARE_S) * options.rate)
    tally = Tally()
    viewers = [
        Viewer(Asked(number, count, rate=options.rate), sent=None, tally=tally) for number in range(options.streams)
    ]
    crowd = Crowd(viewers, host="127.0.0.1", port=port)
    try:
        crowd.join(limit_s=60)
        with _bystander(port) as finish:
            begun = time.monotonic()
            crowd.start(model=MODELS[vendor], window_ms=None, limit_s=60)
            crowd.read_until(lambda: tally.first == options.streams, limit_s=20, doing="waiting for every first piece")
            streaming = time.monotonic()
            crowd.read_until(lambda: time.monotonic() > streaming + WARM_S, limit_s=10, doing="warming up")
            since, had, framed = time.monotonic(), tally.pieces, tally.frames
            before, machine_s = [cost(pid).cpu_s for pid in pids], machine_cpu_s()
            crowd.read_until(
                lambda: time.monotonic() > since + options.seconds, limit_s=options.seconds + 10, doing="measuring"
            )
            until, got, frames = time.monotonic(), tally.pieces - had, tally.frames - framed
            spent = [cost(pid).cpu_s - then for pid, then in zip(pids, before, strict=True)]
            others = machine_cpu_s() - machine_s - sum(spent)
            if any(viewer.stage == "ended" for viewer in viewers):
                raise PeerFailed("An answer ended before all was measured: the server is too slow for this load.")
            crowd.read_until(
                lambda: all(viewer.stage == "ended" for viewer in viewers), limit_s=60, doing="waiting for every ending"
            )
            ended = time.monotonic()
            waits = finish()
    except PeerBroke as fault:
        raise PeerFailed(f"{vendor}: {fault}") from fault
    finally:
        crowd.close()
    server_s, vendor_s, load_s = spent
    return Watched(
        seconds=until - since,
        pieces=got,
        frames=frames,
        spent=(server_s, vendor_s, load_s, max(others, 0.0)),
        waits=waits,
        phases=(begun, streaming, until, ended),
    )


@contextmanager
def _simulators(folder: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """All simulated vendors in one process of their own: its id, and the settings that lead to them."""
    port, log = free_ports(4), folder / "simulators.log"
    with running([sys.executable, "-m", "simulators", str(port)], port=port + 3, log=log) as pid:
        limit = time.monotonic() + 10
        while "[[fault" not in log.read_text():
            if time.monotonic() > limit:
                raise PeerFailed("The simulators did not tell their settings.")
            time.sleep(0.05)
        pairs = (line.partition("=") for line in log.read_text().splitlines() if "=" in line and line[0].isupper())
        yield pid, {name: value for name, _, value in pairs if name.isupper()}


@contextmanager
def _bystander(port: int) -> Iterator[Callable[[], list[tuple[float, float]]]]:
    """The other client, in a process of its own; gives what ends it and tells what it waited."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.bystander", "--port", str(port)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        if process.stdout.readline() != "asking\n":
            raise PeerFailed("The other client did not get in.")

        def finish() -> list[tuple[float, float]]:
            told, _ = process.communicate("\n", timeout=60)
            return [(at, wait) for at, wait in json.loads(told)]

        yield finish
    finally:
        process.kill()
        process.wait()


def _wait_for_model(port: int, model: str) -> None:
    """Servers of one's own are looked for when somebody asks for the models."""
    limit = time.monotonic() + 20
    while time.monotonic() < limit:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=10) as answer:
            if model in {listed["id"] for listed in json.load(answer)["data"]}:
                return
        time.sleep(0.1)
    raise PeerFailed(f"The server does not list {model}.")
