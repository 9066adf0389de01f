"""One WebSocket connection on the server's side (RFC 6455), without a greenlet of its own."""

from __future__ import annotations

import socket
from collections.abc import Callable
from struct import pack
from typing import Any

from gevent.hub import get_hub

from .frame import CLOSE, PING, PONG, websocket_frame
from .frame_reader import POLICY, Control, FrameReader, WebSocketError, close_status
from .limits import ServingLimits
from .outbox import Outbox
from .rate import TokenBucket

_READABLE = 1
_OPEN, _CLOSING, _CLOSED = range(3)

# One buffer for all connections: it is filled and emptied by the hub without a yield in between. No larger, because a
# flood of tiny frames that fills it must be taken apart at one go.
_received = bytearray(65_536)
_view = memoryview(_received)

Message = str | bytes


class WebSocket:
    """Reads messages when the hub says so, writes through an `Outbox`; everything runs in the hub and never yields.

    No extension is offered, permessage-deflate least of all: a few bytes could unpack to gigabytes.

    Args:
        sock: A non-blocking socket, owned from here on.
        on_messages: Gets what one read completed. It returns True when it took the messages away to work on them;
            then nothing more is read until `resume`, which is what holds a flooding peer back.
        on_close: Called once with the close code and our reason, when the connection stops to be useful. The reason is
            empty when it was the peer that closed; its own words are nobody's concern.
        on_drained: See `Outbox`.
        on_freed: Called once when the descriptor is closed.
        on_pong: Called when the peer answers a ping; None where nobody sends any.
    """

    __slots__ = (
        "_control",
        "_farewell",
        "_limits",
        "_loop",
        "_on_close",
        "_on_freed",
        "_on_messages",
        "_on_pong",
        "_outbox",
        "_reader",
        "_sock",
        "_state",
        "_timer",
        "_watcher",
        "offer",
    )

    def __init__(
        self,
        sock: socket.socket,
        limits: ServingLimits,
        *,
        on_messages: Callable[[list[Message]], bool],
        on_close: Callable[[int, str], None],
        on_drained: Callable[[], None],
        on_freed: Callable[[], None],
        on_pong: Callable[[], None] | None = None,
    ) -> None:
        self._loop = get_hub().loop
        self._limits = limits
        self._sock = sock
        self._state = _OPEN
        self._farewell: int | None = None  # the peer's close code, waiting for its last messages to be handled
        self._on_messages = on_messages
        self._on_close = on_close
        self._on_freed = on_freed
        self._on_pong = on_pong
        self._reader = FrameReader(
            max_message_bytes=limits.max_message_bytes_before_join, max_fragments=limits.max_fragments
        )
        self._control: TokenBucket | None = None
        self._outbox = Outbox(
            sock,
            self._loop,
            max_pending_bytes=limits.max_pending_bytes,
            stall_s=limits.send_stall_s,
            on_lost=self._lose,
            on_drained=on_drained,
        )
        #: `offer(frame_bytes) -> bool`: see `Outbox.offer`. The hot path, hence no method in between.
        self.offer = self._outbox.offer
        self._timer: Any = None
        self._watcher: Any = self._loop.io(sock.fileno(), _READABLE)

    @property
    def pending_bytes(self) -> int:
        return self._outbox.pending_bytes

    @property
    def is_low(self) -> bool:
        return self._outbox.is_low

    @property
    def closed(self) -> bool:
        return self._state != _OPEN

    def start(self, leftover: bytes = b"") -> None:
        """Begin to read; `leftover` are bytes that came in one packet with the handshake."""
        self._listen()
        if leftover:
            self._take(leftover)

    def allow(self, max_message_bytes: int) -> None:
        """Change the limit on messages, once more is known of the peer."""
        self._reader.max_message_bytes = max_message_bytes

    def resume(self) -> None:
        """Read on, after `on_messages` returned True and its work is done."""
        if self._farewell is not None:
            self._say_goodbye(self._farewell, "")
        self._listen()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye with `code`, let the peer hang up, free the descriptor within `close_s`."""
        if self._state == _OPEN:
            self._say_goodbye(code, reason)

    def abort(self, reason: str) -> None:
        """Free the descriptor now; what waits is thrown away."""
        self._lose(reason)

    def _listen(self) -> None:
        if self._state != _CLOSED:  # libev ends the process when a watcher of a closed descriptor is started
            self._watcher.start(self._readable)

    def _readable(self) -> None:
        try:
            count = self._sock.recv_into(_received)
        except BlockingIOError:
            return
        except OSError:
            count = 0
        if count == 0:
            self._lose("")
        elif self._state == _OPEN:  # else the peer is only being listened out, see _say_goodbye
            self._take(bytes(_view[:count]))

    def _take(self, data: bytes) -> None:
        try:
            messages = self._without_control(self._reader.feed(data))
        except WebSocketError as error:
            self._say_goodbye(error.code, error.reason)
            return
        if messages and self._on_messages(messages):
            if self._state != _CLOSED:
                self._watcher.stop()
        elif self._farewell is not None:
            self._say_goodbye(self._farewell, "")

    def _without_control(self, received: list[str | bytes | Control]) -> list[Message]:
        messages: list[Message] = []
        for message in received:
            if not isinstance(message, Control):
                messages.append(message)
                continue
            if self._control is None:
                self._control = TokenBucket(self._limits.control_frames_per_s, self._limits.control_frames_burst)
            if not self._control.take():
                raise WebSocketError(POLICY, "too many control frames")
            if message.opcode == PING:
                self.offer(websocket_frame(PONG, message.payload))
            elif message.opcode == PONG and self._on_pong is not None:
                self._on_pong()
            elif message.opcode == CLOSE:
                self._farewell, _ = close_status(message.payload)
                break  # nothing counts after a close frame
        return messages

    def _say_goodbye(self, code: int, reason: str) -> None:
        # Closing at once would make the kernel answer what is still under way with a reset, which may overtake the
        # close frame; so only our side is shut, and the peer is read into the void until it hangs up.
        if self._state != _OPEN:
            return
        self._state = _CLOSING
        body = b"" if code == 1005 else pack("!H", code) + reason.encode()[:100]
        self._outbox.force(websocket_frame(CLOSE, body))
        if self._state == _CLOSING:  # force may have found the peer gone
            self._timer = self._loop.timer(self._limits.close_s)
            self._timer.start(self._lose, "")
            if not self._outbox.pending_bytes:
                self._shut()
            self._listen()
        self._on_close(code, reason)

    def _shut(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._lose("")

    def _lose(self, reason: str) -> None:
        if self._state == _CLOSED:
            return
        was_open = self._state == _OPEN
        self._state = _CLOSED
        self._outbox.close()
        for watcher in (self._watcher, self._timer):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        self._sock.close()
        self._on_freed()
        if was_open:
            self._on_close(1006, reason)
