"""Server CPU per inbound frame of speech, of this server and of Node's socket.io, in turn under the same load."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import PEERS
from benchmarks.processes import PeerFailed, cost, free_port, machine, machine_cpu_s, raise_descriptor_limit
from benchmarks.socketio_frames import PeerBroke
from benchmarks.speaker import Speaker

FRAME_S = 0.04


@dataclass(frozen=True, slots=True)
class Measured:
    """One run.

    Attributes:
        late_s: By how much the last frame was sent too late: the load could not keep up.
        others_share: Of one core, used by everything but the server and the load.
    """

    cpu_us: float
    rss_mb: float
    frames: int
    late_s: float
    others_share: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--speakers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10, help="span measured in each run; at most 20")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", nargs="*", choices=sorted(PEERS), default=["node", "parley"])
    parser.add_argument("--at-most", type=float, help="fail when this server's median ratio is above it")


def run(options: argparse.Namespace) -> int:
    """Print the table; the exit status."""
    raise_descriptor_limit()
    print(f"{options.speakers} speakers x 25 frames/s of 1,280 bytes, {options.seconds:g} s a run\n{machine()}\n")
    print("round  server  CPU us/frame  of Node   frames  late ms  RSS MB  others CPU", flush=True)
    rows: dict[str, list[Measured]] = {name: [] for name in options.peers}
    for number in range(1, options.rounds + 1):
        for name in options.peers:
            rows[name].append(measured := one_run(name, options.speakers, options.seconds))
            node = rows.get("node")
            ratio = f"{measured.cpu_us / node[-1].cpu_us:7.2f}" if node else "      -"
            late_ms = measured.late_s * 1e3
            line = f"{number:5}  {name:6}  {measured.cpu_us:12.1f}  {ratio}  {measured.frames:7}  {late_ms:7.1f}"
            print(f"{line}  {measured.rss_mb:6.0f}  {measured.others_share:10.0%}", flush=True)
    print()
    worst = 0.0
    for name, runs in rows.items():
        line = f"median  {name:6}  {statistics.median(run.cpu_us for run in runs):6.1f} us a frame"
        if name != "node" and rows.get("node"):
            ratio_of = statistics.median(
                ours.cpu_us / node.cpu_us for ours, node in zip(runs, rows["node"], strict=True)
            )
            worst = max(worst, ratio_of)
            line += f", {ratio_of:.2f} of Node"
        print(line)
    return 1 if options.at_most is not None and worst > options.at_most else 0


def one_run(peer: str, speakers: int, seconds: float) -> Measured:
    """One server and one load, fresh; every byte must have been taken.

    Raises:
        PeerFailed: The server did not start, or did not take what was sent.
    """
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-") as folder,
        PEERS[peer](free_port(), Path(folder)) as (pid, port),
    ):
        crowd = [Speaker(port, number) for number in range(speakers)]
        try:
            for speaker in crowd:
                speaker.join()
            _speak(crowd, 1.0)  # code and caches that are loaded once
            began, others_before = time.monotonic(), machine_cpu_s() - time.process_time()
            before = cost(pid)
            frames, late_s = _speak(crowd, seconds)
            after = cost(pid)
            cpu_s, took = after.cpu_s - before.cpu_s, time.monotonic() - began
            others = machine_cpu_s() - time.process_time() - others_before - cpu_s
            for speaker in crowd:
                speaker.end()
        except (PeerBroke, OSError) as fault:
            raise PeerFailed(f"{peer}: {fault}") from fault
        finally:
            for speaker in crowd:
                speaker.socket.close()
    return Measured(
        cpu_us=cpu_s / frames * 1e6,
        rss_mb=after.rss_bytes / 1e6,
        frames=frames,
        late_s=late_s,
        others_share=max(others, 0.0) / took,
    )


def _speak(crowd: list[Speaker], seconds: float) -> tuple[int, float]:
    """Every speaker a frame every 40 ms, spread evenly; how many frames, and by how much the last was late."""
    total, began, late = round(seconds / FRAME_S) * len(crowd), time.monotonic(), 0.0
    step = FRAME_S / len(crowd)
    for number in range(total):
        due = began + number * step
        late = time.monotonic() - due
        if late < -0.001:
            time.sleep(-late)
        crowd[number % len(crowd)].socket.sendall(crowd[number % len(crowd)].frame())
    return total, max(late, 0.0)
