"""Brings a request to the worker that holds its session: the connection itself is passed on, not its bytes.

A session id is `<worker>.<secret>`. Another worker of this machine is reached over a Unix socket in a folder that only
this user can enter; it is handed the client's descriptor with what was read of the request, and goes on as if it had
accepted the connection itself.
"""

from __future__ import annotations

import array
import hashlib
import logging
import os
import socket
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import gevent
from gevent.server import StreamServer

from .crew import crew

log = logging.getLogger("parley.serving")

PASS_S = 2.0
"""Seconds a step of a pass may take."""
_MOST_BYTES = 262_144
_LONGEST_PATH = 100  # the kernel's limit is 108, on some systems 104
_PASS, _TELL = b"P", b"M"


def machine_of(instance: str) -> str:
    """The part of a worker's name that its machine and data folder give it."""
    folder = instance.rpartition(":")[0]
    return hashlib.sha256(f"{folder}\n{socket.gethostname()}".encode()).hexdigest()[:8]


class Siblings:
    """The workers of this data folder, as one of them sees them.

    Attributes:
        name: This worker's own, short and no secret.
        machine: The part of it that all workers of the folder share.
    """

    def __init__(self, data_dir: Path, instance: str) -> None:
        """`instance` is the name `services.instance` gave, which nobody else holds now."""
        self.machine = machine_of(instance)
        self._slot = instance.rpartition(":")[2]
        self.name = f"{self.machine}-{self._slot}"
        self._folder = meeting_place(data_dir)
        self._server: StreamServer | None = None
        self._adopt: Callable[[Any, bytes], None] = _refuse
        #: This worker's metrics, for the one that is asked for all of them.
        self.report: Callable[[], bytes] = bytes

    # The one that is asked

    def listen(self, *, adopt: Callable[[Any, bytes], None]) -> None:
        """Be reachable for the others. `adopt` gets, and owns, a client's socket with what was read from it already."""
        self._adopt = adopt
        path = self._path(self._slot)
        path.unlink(missing_ok=True)  # of a worker that held our slot before and died
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        listener.listen(1_024)
        listener.setblocking(False)
        self._server = StreamServer(listener, self._serve, spawn=crew.run)
        self._server.start()

    def close(self) -> None:
        """Be gone: what belongs here is answered as unknown from now on."""
        if self._server is not None:
            self._path(self._slot).unlink(missing_ok=True)
            self._server.close()
            self._server = None

    def _serve(self, peer: Any, _: object) -> None:
        with peer:
            peer.settimeout(PASS_S)
            try:
                received, descriptors = _receive(peer)
                if received[:1] == _PASS and descriptors:
                    client = socket.socket(fileno=descriptors.pop())
                    self._adopt(client, received[1:])
                elif received[:1] == _TELL:
                    peer.sendall(self.report())
            except OSError as fault:
                log.warning("What another worker passed on was lost: %s", fault)
                return
        for descriptor in descriptors:
            os.close(descriptor)

    # The one that asks

    def owner(self, sid: str) -> str:
        """The slot of the worker that holds a session; empty when it is this one or none of this machine."""
        worker, dot, _ = sid.partition(".")
        machine, _, slot = worker.partition("-")
        known = dot and machine == self.machine and slot.isdecimal() and slot.isascii() and len(slot) < 4
        return slot if known and slot != self._slot else ""

    def pass_on(self, slot: str, client: Any, read: bytes) -> bool:
        """Give a connection away; False when there is nobody to take it. The caller forgets its copy. Yields."""
        try:
            with self._reach(slot) as sibling:
                sibling.settimeout(PASS_S)
                sent = socket.send_fds(sibling, [_PASS + read], [client.fileno()])
                if sent <= len(read):
                    sibling.sendall((_PASS + read)[sent:])
        except OSError:
            return False
        return True

    def reports(self) -> dict[str, bytes]:
        """The metrics of the other workers, by name, of those that answer in time."""
        slots = [path.stem for path in self._folder.glob("*.sock") if path.stem != self._slot]
        asked = {slot: gevent.spawn(self._ask, slot) for slot in slots}
        gevent.joinall(list(asked.values()), timeout=PASS_S)
        answers = {slot: one.value for slot, one in sorted(asked.items()) if one.ready() and one.value}
        return {f"{self.machine}-{slot}": report for slot, report in answers.items()}

    def _ask(self, slot: str) -> bytes:
        pieces: list[bytes] = []
        with suppress(OSError), self._reach(slot) as sibling:
            sibling.settimeout(PASS_S)
            sibling.sendall(_TELL)
            sibling.shutdown(socket.SHUT_WR)
            while piece := sibling.recv(65_536):
                pieces.append(piece)
        return b"".join(pieces)

    def _reach(self, slot: str) -> socket.socket:
        sibling = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sibling.setblocking(False)  # else a full queue makes gevent try again without a pause
        deadline = monotonic() + PASS_S
        while True:
            try:
                sibling.connect(str(self._path(slot)))
                return sibling
            except BlockingIOError:
                if monotonic() > deadline:
                    sibling.close()
                    raise TimeoutError("the other worker takes nothing") from None
                gevent.sleep(0.01)
            except OSError:
                sibling.close()
                raise

    def _path(self, slot: str) -> Path:
        return self._folder / f"{slot}.sock"


def asked_session(query: str) -> str:
    """The session id a request names, as the Engine.IO server reads it; empty for none."""
    return next((value for field in query.split("&") for name, _, value in [field.partition("=")] if name == "sid"), "")


def meeting_place(data_dir: Path) -> Path:
    """The folder of the workers' sockets, for this user alone; short enough for what a socket's name may have.

    Raises:
        PermissionError: Somebody else made the folder.
    """
    folder = data_dir.resolve() / "workers"
    if len(str(folder)) + len("/999.sock") > _LONGEST_PATH:
        digest = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"parley-{digest}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else.")
    folder.chmod(0o700)
    return folder


def _receive(peer: Any) -> tuple[bytes, list[int]]:
    """Everything up to the sender's end, with the descriptors that came along."""
    data, descriptors = bytearray(), array.array("i")
    try:
        while len(data) <= _MOST_BYTES:
            piece, ancillary, _, _ = peer.recvmsg(65_536, socket.CMSG_SPACE(4 * descriptors.itemsize))
            for level, kind, content in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
            if not piece:
                return bytes(data), list(descriptors)
            data += piece
        raise OSError("too much of it")
    except OSError:
        for descriptor in descriptors:
            os.close(descriptor)
        raise


def _refuse(client: Any, _: bytes) -> None:
    client.close()
