"""Server CPU per piece of this server and of a bare Node relay, in turn under the same load."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from benchmarks.load import Measured, pieces_for
from benchmarks.peers import MODEL, PEERS
from benchmarks.processes import ROOT, PeerFailed, free_port, machine, raise_descriptor_limit, running

_HEAD = (
    "round  server        CPU us/piece  of Node  delivered  pieces/frame  p50 ms  p99 ms  max ms  RSS MB  end s"
    "  vendor / load / others CPU"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--streams", type=int, default=400)
    parser.add_argument("--rate", type=float, default=50, help="pieces a second of each stream")
    parser.add_argument("--seconds", type=float, default=15, help="span measured in each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--window-ms", type=int, nargs="*", default=[0, 33], help="windows to measure this server with")
    parser.add_argument("--peers", nargs="*", choices=sorted(PEERS), default=["node", "parley"])
    parser.add_argument("--others-at-most", type=float, help="repeat a run while other programs use more of a core")
    parser.add_argument("--tries", type=int, default=4, help="runs made at most for one line, with --others-at-most")
    parser.add_argument("--at-most", type=float, help="fail when this server's median ratio is above it")


def run(options: argparse.Namespace) -> int:
    """Print the table; the exit status."""
    raise_descriptor_limit()
    rows: dict[str, list[Measured]] = {}
    print(f"{options.streams} streams x {options.rate:g} pieces/s, {options.seconds:g} s a run")
    print(f"{machine()}\n\n{_HEAD}", flush=True)
    for number in range(1, options.rounds + 1):
        for name, peer, window_ms in _entrants(options):
            measured = _undisturbed_run(peer, options, window_ms)
            rows.setdefault(name, []).append(measured)
            print(_row(str(number), name, measured, rows), flush=True)
    print()
    ratios = {name: ratio for name in rows if name != "node" and (ratio := _median_ratio(rows, name)) is not None}
    for name, runs in rows.items():
        of_node = f", {ratios[name]:.2f} of Node" if name in ratios else ""
        print(f"median  {name:12}  {statistics.median(run.cpu_us for run in runs):6.1f} us a piece{of_node}")
    return 1 if options.at_most is not None and any(ratio > options.at_most for ratio in ratios.values()) else 0


def _undisturbed_run(peer: str, options: argparse.Namespace, window_ms: int | None) -> Measured:
    """The first run quiet enough, or the quietest of all tries."""
    runs: list[Measured] = []
    while not runs or (options.others_at_most is not None and len(runs) < options.tries):
        runs.append(one_run(peer, options, window_ms))
        if options.others_at_most is not None and runs[-1].others_share <= options.others_at_most:
            break
    return min(runs, key=lambda run: run.others_share)


def one_run(peer: str, options: argparse.Namespace, window_ms: int | None) -> Measured:
    """One server, one vendor, one load, all fresh.

    Raises:
        PeerFailed: A process did not start, or what arrived was not what was sent.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder, vendor_port = Path(name), free_port()
        with (
            vendor(options, vendor_port, folder) as vendor_pid,
            PEERS[peer](vendor_port, folder) as (pid, port),
        ):
            command = load_command(options, folder, port=port, pid=pid, vendor_pid=vendor_pid, window_ms=window_ms)
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode:
                raise PeerFailed(f"{peer}: {done.stderr[-2000:]}{_tail(folder / f'{peer}.log')}")
            return Measured(**json.loads(done.stdout))


def vendor(options: argparse.Namespace, port: int, folder: Path) -> AbstractContextManager[int]:
    """The vendor for one run; its process id."""
    given = {"port": port, "streams": options.streams, "rate": options.rate, "sent": folder / "sent"}
    given["pieces"] = pieces_for(options.seconds, options.rate)
    return running([sys.executable, "-m", "benchmarks.vendor", *flags(given)], port=port, log=folder / "vendor.log")


def load_command(
    options: argparse.Namespace, folder: Path, *, port: int, pid: int, vendor_pid: int, window_ms: int | None
) -> list[str]:
    given = {"port": port, "pid": pid, "vendor-pid": vendor_pid, "sent": folder / "sent", "streams": options.streams}
    given |= {"rate": options.rate, "seconds": options.seconds, "model": MODEL}
    if window_ms is not None:
        given["window-ms"] = window_ms
    return [sys.executable, "-m", "benchmarks.load", *flags(given)]


def flags(values: dict[str, Any]) -> list[str]:
    """Command line options of their names and values."""
    return [part for name, value in values.items() for part in (f"--{name}", str(value))]


def _entrants(options: argparse.Namespace) -> list[tuple[str, str, int | None]]:
    entrants: list[tuple[str, str, int | None]] = []
    for peer in options.peers:
        windows = options.window_ms if peer == "parley" else [None]
        entrants += [(peer if window is None else f"{peer} {window} ms", peer, window) for window in windows]
    return entrants


def _row(number: str, name: str, run: Measured, rows: dict[str, list[Measured]]) -> str:
    node = rows.get("node")
    ratio = f"{run.cpu_us / node[-1].cpu_us:7.2f}" if node else "      -"
    cores = [run.vendor_cpu_s / run.seconds, run.load_cpu_s / run.seconds, run.others_share]
    return (
        f"{number:5}  {name:12}  {run.cpu_us:12.1f}  {ratio}  {run.pieces / run.sold:9.1%}"
        f"  {run.pieces / run.frames:12.2f}  {run.p50_ms:6.1f}  {run.p99_ms:6.1f}  {run.max_ms:6.0f}"
        f"  {run.rss_mb:6.0f}  {run.end_s:5.1f}  {' / '.join(f'{share:.0%}' for share in cores)}"
    )


def _median_ratio(rows: dict[str, list[Measured]], name: str) -> float | None:
    if "node" not in rows:
        return None
    return statistics.median(ours.cpu_us / node.cpu_us for ours, node in zip(rows[name], rows["node"], strict=True))


def _tail(log: Path) -> str:
    return f"\nThe server's last lines:\n{log.read_text(errors='replace')[-3000:]}" if log.is_file() else ""
