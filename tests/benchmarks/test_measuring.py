"""What the benchmarks read from the kernel and from py-spy is what they say it is."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from benchmarks.hotspots import report
from benchmarks.processes import cost, machine_cpu_s

_BURN = "import time\nwhile time.process_time() < 0.3: pass\n"
_PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {_BURN + "input()"!r}], stdin=subprocess.PIPE)
input()
"""


def test_cost_is_the_processor_time_of_a_process() -> None:
    """It agrees with what the process itself counts."""
    before, begun, machine_s = cost_of_self(), time.process_time(), machine_cpu_s()
    while time.process_time() < begun + 0.2:
        pass
    assert abs((cost_of_self() - before) - (time.process_time() - begun)) < 0.05
    assert machine_cpu_s() - machine_s > 0.15


def test_cost_includes_children_that_live() -> None:
    """A server's workers are the server."""
    with subprocess.Popen([sys.executable, "-c", _PARENT], stdin=subprocess.PIPE) as parent:
        limit = time.monotonic() + 30
        while cost(parent.pid).cpu_s < 0.3:
            assert time.monotonic() < limit
            time.sleep(0.02)
        parent.communicate(b"\n")


def test_the_report_counts_a_recursive_function_once_a_sample() -> None:
    """Shares with callees never pass a hundred percent, and sleeping threads are no samples."""
    idle = "run;acquire_with_timeout (gevent/_threading.py:36) 9\n"
    text = report("main;send;send 3\nmain;parse 1\n" + idle, top=5)
    assert "75.0%         75.0%  send" in text
    assert "100.0%          0.0% own  main" in text


def cost_of_self() -> float:
    return cost(os.getpid()).cpu_s
