"""A connection to a vendor, read as cheaply as the hub allows."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress

import gevent

from services.errors import VendorTimeout
from services.wire.dial import Origin

RECEIVE_BYTES = 65_536
SILENCE_S = 120.0  # the last resort below every limit of a turn, looked at this often


class Connection:
    """A socket that is read by waiting first, so that no read fails and every read lets others run."""

    def __init__(self, origin: Origin, sock: socket.socket) -> None:
        self.origin = origin
        self.reused = False
        self._socket = sock
        self._is_tls = isinstance(sock, ssl.SSLSocket)
        hub = gevent.get_hub()
        self._wait = hub.wait
        self._readable = hub.loop.io(sock.fileno(), 1)
        self._alarm = hub.loop.timer(SILENCE_S, repeat=SILENCE_S)
        self._reads = 0
        self._reads_at_alarm = -1
        self.is_silent = False

    def send(self, data: bytes) -> None:
        self._reads_at_alarm = -1
        self._alarm.start(self._look)
        self._socket.sendall(data)

    def receive(self) -> bytes:
        """What has come, b"" at the end. Costs no timer: silence is noticed by `_look`."""
        self._reads += 1
        if not self._is_tls:
            self._wait(self._readable)
        elif not self._reads & 31:
            gevent.sleep(0)  # TLS reads what has come without waiting: a flood must not hold the others up
        data = self._socket.recv(RECEIVE_BYTES)
        if not data and self.is_silent:
            raise VendorTimeout("The model's provider fell silent.")
        return data

    def rest(self) -> None:
        """The call is over, the connection may serve another one."""
        self._alarm.stop()
        self.reused = True

    def is_alive(self) -> bool:
        """Whether an idle connection is still open: nothing may have come, not even an end. Never yields."""
        self._socket.settimeout(0.0)
        try:
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            self._socket.settimeout(None)
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Hang up at once. Never yields."""
        self._alarm.stop()
        self._alarm.close()
        self._readable.stop()
        self._readable.close()
        self._shut_down()  # gevent closes a moment later; the vendor should know now
        self._socket.close()

    def _look(self) -> None:
        """Runs in the hub every `SILENCE_S`: end a connection from which nothing was read since the last look."""
        if self._reads == self._reads_at_alarm:
            self.is_silent = True
            self._shut_down()  # its reader sees the end
        self._reads_at_alarm = self._reads

    def _shut_down(self) -> None:
        with suppress(OSError):  # already gone
            self._socket.shutdown(socket.SHUT_RDWR)
