"""Where this server's processor time goes under the relay's load, sampled by py-spy."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.load import pieces_for
from benchmarks.peers import PEERS
from benchmarks.processes import ROOT, PeerFailed, free_port, raise_descriptor_limit
from benchmarks.relay import flags, load_command, vendor
from benchmarks.sent import SentTimes

_ASLEEP = "acquire_with_timeout (gevent/_threading.py"  # an idle pool thread, which py-spy takes for a busy one


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--streams", type=int, default=400)
    parser.add_argument("--rate", type=float, default=50, help="pieces a second of each stream")
    parser.add_argument("--seconds", type=float, default=15, help="span sampled")
    parser.add_argument("--window-ms", type=int, default=0)
    parser.add_argument("--top", type=int, default=30, help="functions listed")
    parser.add_argument("--lines", action="store_true", help="count lines instead of functions")
    parser.add_argument("--native", action="store_true", help="look into C extensions, too")
    parser.add_argument("--keep", type=Path, help="where to put the collapsed stacks, for a flame graph")


def run(options: argparse.Namespace) -> int:
    """Print the functions that cost most; the exit status."""
    raise_descriptor_limit()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder, vendor_port = Path(name), free_port()
        with (
            vendor(options, vendor_port, folder) as vendor_pid,
            PEERS["parley"](vendor_port, folder) as (pid, port),
        ):
            load = load_command(options, folder, port=port, pid=pid, vendor_pid=vendor_pid, window_ms=options.window_ms)
            with subprocess.Popen(load, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as loading:
                _wait_for_stream(loading, folder, options)
                stacks = _sample(pid, folder, options)
                _, errors = loading.communicate()
            if loading.returncode:
                raise PeerFailed(f"the load failed: {errors[-2000:]}")
    if options.keep:
        options.keep.write_text(stacks)
    print(report(stacks, top=options.top))
    return 0


def _wait_for_stream(loading: subprocess.Popen[str], folder: Path, options: argparse.Namespace) -> None:
    """Until the vendor has sent the first stream its second second."""
    sent = SentTimes(folder / "sent", streams=options.streams, pieces=pieces_for(options.seconds, options.rate))
    while not sent.at(0, round(options.rate)):
        if loading.poll() is not None:
            raise PeerFailed(f"the load ended early: {loading.communicate()[1][-2000:]}")
        time.sleep(0.05)


def _sample(pid: int, folder: Path, options: argparse.Namespace) -> str:
    py_spy = shutil.which("py-spy", path=f"{Path(sys.executable).parent}") or shutil.which("py-spy")
    if py_spy is None:
        raise PeerFailed("py-spy is missing; it comes with requirements-dev.txt.")
    stacks = folder / "stacks"
    given = {"pid": pid, "rate": 250, "duration": round(options.seconds), "format": "raw", "output": stacks}
    command = [py_spy, "record", *flags(given)]
    command += [*([] if options.lines else ["--function"]), *(["--native"] if options.native else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeerFailed(f"py-spy failed: {done.stderr[-2000:]}")
    return stacks.read_text()


def report(stacks: str, *, top: int) -> str:
    """Share of samples by function: in itself, and with what it calls. `stacks` is py-spy's collapsed form."""
    own, whole = Counter[str](), Counter[str]()
    for line in stacks.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        if frames[-1].startswith(_ASLEEP):
            continue
        own[frames[-1]] += int(count)
        for frame in set(frames):
            whole[frame] += int(count)
    total = own.total() or 1
    lines = [f"{total} samples", "", "    own  with callees"]
    lines += [f"{own[frame] / total:7.1%}  {whole[frame] / total:12.1%}  {frame}" for frame, _ in own.most_common(top)]
    lines += ["", "with callees, from the top"]
    lines += [
        f"{whole[frame] / total:7.1%}  {own[frame] / total:12.1%} own  {frame}" for frame, _ in whole.most_common(top)
    ]
    return "\n".join(lines)
