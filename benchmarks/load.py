"""The load of one run: the server's processor time is read over a span in which every viewer is being streamed to."""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.crowd import Crowd
from benchmarks.processes import cost, machine_cpu_s
from benchmarks.script import Script
from benchmarks.sent import SentTimes
from benchmarks.socketio_frames import PeerBroke
from benchmarks.viewer import Tally, Viewer

WARM_S = 1.5
TAIL_S = 1.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One run, over the span in which every stream was under way.

    Attributes:
        pieces: Vendor's pieces that reached their viewers.
        sold: Vendor's pieces that left the vendor.
        frames: Frames they came in.
        cpu_s: Processor time of the server.
        vendor_cpu_s: The same of the vendor, to show that it was not what set the pace.
        load_cpu_s: The same of this process.
        others_cpu_s: The same of everything else on the machine; what is much disturbed is not worth comparing.
        p50_ms: Delay from the vendor's send to the viewer's receive, as also `p99_ms` and `max_ms`.
        rss_mb: The server's resident memory at the end of the span.
        end_s: From the vendor's last piece until the last viewer had its ending.
    """

    seconds: float
    pieces: int
    sold: int
    frames: int
    cpu_s: float
    vendor_cpu_s: float
    load_cpu_s: float
    others_cpu_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    rss_mb: float
    end_s: float

    @property
    def cpu_us(self) -> float:
        """Server processor time per piece."""
        return self.cpu_s / self.pieces * 1e6

    @property
    def others_share(self) -> float:
        """Cores that everything else kept busy."""
        return self.others_cpu_s / self.seconds


def pieces_for(seconds: float, rate: float) -> int:
    """How long an answer must be to outlast the span measured."""
    return round((WARM_S + seconds + TAIL_S) * rate)


def measure(options: argparse.Namespace) -> Measured:
    """Drive one run from the first connection to the last ending.

    Raises:
        PeerBroke: The server refused, fell silent, or delivered something else than what the vendor sent.
    """
    pieces = pieces_for(options.seconds, options.rate)
    sent = SentTimes(options.sent, streams=options.streams, pieces=pieces)
    tally = Tally()
    viewers = [Viewer(Script(number, pieces), sent=sent, tally=tally) for number in range(options.streams)]
    crowd = Crowd(viewers, host="127.0.0.1", port=options.port)
    crowd.join(limit_s=60)
    crowd.start(model=options.model, window_ms=options.window_ms, limit_s=60)
    crowd.read_until(lambda: tally.first == options.streams, limit_s=20, doing="waiting for every first piece")
    warm = time.monotonic() + WARM_S
    crowd.read_until(lambda: time.monotonic() >= warm, limit_s=WARM_S + 5, doing="warming up")

    pids = (options.pid, options.vendor_pid, os.getpid())
    begun, had, framed = time.monotonic(), tally.pieces, tally.frames
    before, machine_before_s = [cost(pid) for pid in pids], machine_cpu_s()
    tally.open = True
    over = begun + options.seconds
    crowd.read_until(lambda: time.monotonic() >= over, limit_s=options.seconds + 5, doing="measuring")
    tally.open = False
    ended, got, frames = time.monotonic(), tally.pieces - had, tally.frames - framed
    after, machine_s = [cost(pid) for pid in pids], machine_cpu_s() - machine_before_s

    crowd.read_until(
        lambda: all(viewer.stage == "ended" for viewer in viewers), limit_s=60, doing="waiting for every ending"
    )
    last = max(sent.at(number, pieces - 1) for number in range(options.streams))
    drained = time.monotonic()
    crowd.close()
    delays = sorted(tally.delays)
    spent = [then.cpu_s - now.cpu_s for now, then in zip(before, after, strict=True)]
    return Measured(
        seconds=ended - begun,
        pieces=got,
        sold=sent.sold(begun, ended),
        frames=frames,
        cpu_s=spent[0],
        vendor_cpu_s=spent[1],
        load_cpu_s=spent[2],
        others_cpu_s=max(machine_s - sum(spent), 0.0),
        p50_ms=delays[len(delays) // 2] * 1e3,
        p99_ms=delays[len(delays) * 99 // 100] * 1e3,
        max_ms=delays[-1] * 1e3,
        rss_mb=after[0].rss_bytes / 1e6,
        end_s=drained - last,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Drive one run and print what it measured as JSON.")
    parser.add_argument("--port", type=int, required=True, help="where the server listens")
    parser.add_argument("--pid", type=int, required=True, help="the server's process")
    parser.add_argument("--vendor-pid", type=int, required=True)
    parser.add_argument("--sent", type=Path, required=True, help="file of the times at which pieces left the vendor")
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--window-ms", type=int, default=None)
    gc.disable()
    try:
        measured = measure(parser.parse_args())
    except PeerBroke as fault:
        sys.exit(str(fault))
    json.dump(asdict(measured), sys.stdout)


if __name__ == "__main__":
    main()
