"""Other processes: starting them, ending them, and what the kernel says they cost."""

from __future__ import annotations

import os
import platform
import re
import resource
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class PeerFailed(Exception):
    """A process did not start or died; the message holds the end of what it wrote."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process and its living children have used.

    Attributes:
        cpu_s: User and system time of all their threads.
        rss_bytes: Resident memory now.
    """

    cpu_s: float
    rss_bytes: int


def cost(pid: int) -> Cost:
    """Read `/proc`; processor time moves in steps of 10 ms."""
    cpu_ticks = rss_pages = 0
    for member in family_of(pid):
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        cpu_ticks += sum(map(int, fields[11:15]))  # user and system, its own and of children waited for
        rss_pages += int(fields[21])
    return Cost(cpu_ticks * _TICK_S, rss_pages * os.sysconf("SC_PAGE_SIZE"))


def machine_cpu_s() -> float:
    """Processor time that everything on this machine has used, summed over its cores."""
    user, nice, system, _, _, irq, soft_irq, steal, *_ = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return sum(map(int, (user, nice, system, irq, soft_irq, steal))) * _TICK_S


def family_of(pid: int) -> Iterator[int]:
    """The process and everything it started that lives, however deep."""
    yield pid
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from family_of(int(child))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_ports(count: int) -> int:
    """The first of so many neighbouring ports, below those that the system gives to whoever asks for any."""
    for first in range(20_000, 30_000, count):
        with ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            return first
    raise PeerFailed("No free ports.")


@contextmanager
def running(
    command: Sequence[str],
    *,
    port: int,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    limit_s: float = 30.0,
) -> Iterator[int]:
    """Run a process for as long as the block; its id, once it accepts connections on `port`.

    Raises:
        PeerFailed: It ended, or `port` stayed closed for `limit_s`.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=cwd, env={**os.environ, **(env or {})}, stdout=output, stderr=output)
    try:
        limit = time.monotonic() + limit_s
        while not _accepts(port):
            if process.poll() is not None or time.monotonic() > limit:
                raise PeerFailed(f"{' '.join(command)} does not listen:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def raise_descriptor_limit() -> None:
    """Let this process and its children hold as many sockets as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def machine() -> str:
    """One line on what the figures were measured on."""
    models = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return (
        f"{os.cpu_count()} x {models[0] if models else platform.machine()}, {platform.system()} {platform.release()},"
        f" Python {platform.python_version()}, Node {node.removeprefix('v') or 'none'}"
    )
