"""One client of Spark's protocol: a question, its answer, goodbye."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any

from gevent.hub import get_hub

from services.accounts.spark_keys import Holder
from services.assembly import Services
from services.errors import ChatError
from services.faults import refusal_of
from services.ids import new_id
from services.turns.following import Following
from sockets.serving.crew import crew
from sockets.serving.frame import PING, TEXT, websocket_frame
from sockets.serving.heartbeat import Heartbeat
from sockets.serving.limits import ServingLimits
from sockets.serving.websocket import Message, WebSocket
from sockets.spark import codes, frames, question
from sockets.spark.answering import News, frames_of

log = logging.getLogger("parley.spark")

QUESTION_S = 30.0
"""How long a client may keep its question to itself."""
MOST_MESSAGES = 100
"""Of which only the first is read."""
PONG_S = 60.0
"""Scripts answer a ping when they read the next frame, and some are slow between two."""


class Connection:
    """Reads the one question, tells the answer, closes. A client that leaves stops its answer.

    What a client says after its question is not read. The hub calls every method that begins with `_on`, so none of
    them yields.
    """

    def __init__(self, services: Services, holder: Holder, path: str, on_end: Callable[[Connection], None]) -> None:
        """`path` is the vendor's path it came by."""
        self.holder = holder
        self._services = services
        self._path = path
        self._on_end = on_end
        self._news = News()
        self._websocket: WebSocket | None = None
        self._heartbeat: Heartbeat | None = None
        self._deadline: Any = None
        self._asked = False
        self._heard = 0
        self._left = False

    def start(self, sock: socket.socket, early: bytes, limits: ServingLimits, on_freed: Callable[[], None]) -> None:
        """Take the socket over; `early` came in one packet with the handshake."""
        websocket = self._websocket = WebSocket(
            sock,
            limits,
            on_messages=self._on_messages,
            on_close=self._on_close,
            on_drained=self._news.wake,
            on_freed=on_freed,
            on_pong=self._on_pong,
        )
        websocket.allow(limits.max_message_bytes)
        self._heartbeat = Heartbeat(
            interval_s=limits.ping_interval_s, timeout_s=PONG_S, ping=self._on_ping_due, expired=self._on_silence
        )
        self._heartbeat.start()
        self._deadline = get_hub().loop.timer(QUESTION_S)
        self._deadline.start(self._on_no_question)
        websocket.start(early)

    def refuse(self, number: int, name: str, message: str) -> None:
        """End with an error frame."""
        self._fail(codes.SparkRefusal(number, name, message), sid=new_id("s"))

    def goodbye(self) -> None:
        """The server stops; an answer that is being told may be told to its end."""
        if not self._asked and self._websocket is not None:
            self._websocket.close(1001, "server shutdown")

    def _on_messages(self, messages: list[Message]) -> bool:
        if not self._asked:
            self._asked = True
            self._forget_deadline()
            crew.run(self._answer, messages[0])
        self._heard += len(messages)
        if self._heard > MOST_MESSAGES and self._websocket is not None:
            self._websocket.close(1008, "too many messages")
        return False

    def _on_close(self, code: int, reason: str) -> None:
        self._left = True
        self._forget_deadline()
        if self._heartbeat is not None:
            self._heartbeat.stop()
        self._news.wake()
        self._on_end(self)

    def _on_pong(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.pong()

    def _on_ping_due(self) -> None:
        if self._websocket is not None:
            self._websocket.offer(websocket_frame(PING, b""))

    def _on_silence(self) -> None:
        if self._websocket is not None:
            self._websocket.abort("ping timeout")

    def _on_no_question(self) -> None:
        self._asked = True  # one that comes now is too late
        self.refuse(codes.READ_FAILED, "WebSocketReadError", "no question came")

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.stop()
            self._deadline.close()
            self._deadline = None

    # The answer, in a greenlet of its own

    def _answer(self, message: Message) -> None:
        if self._has_left():
            return
        services, sid = self._services, new_id("s")
        following: Following | None = None
        try:
            asked = question.read(message, path=self._path, app_id=self.holder.app_id, catalogue=services.catalogue)
            following = services.text_turns.start(self.holder.identity, asked.request)
            sid = following.log.turn_id
            for frame in frames_of(following, asked, self._news):
                if self._has_left():
                    break
                if frame is None:
                    self._news.wait()
                else:
                    self._send(frame)
            else:
                self._close()
        except Exception as error:  # noqa: BLE001 - the top of the greenlet
            told = refusal_of(error, "an answer in Spark's frames")
            self._fail(told, sid=sid, has_text=following is not None and following.log.length > 0)
        finally:
            if following is not None and following.log.ended is None:
                self._stop(following)

    def _has_left(self) -> bool:
        return self._left

    def _send(self, frame: bytes) -> None:
        """Send a frame; while the client is slow, wait until it has taken enough. One that takes nothing is cut.

        The first frame never waits.
        """
        data = websocket_frame(TEXT, frame)
        while self._websocket is not None and not self._left and not self._websocket.offer(data):
            self._news.wait()

    def _fail(self, error: ChatError, *, sid: str, has_text: bool = False) -> None:
        self._services.metrics.errors.labels(error.code).inc()
        number, message = codes.told(error, has_text=has_text, now_ms=self._services.clock.now_ms())
        self._send(frames.error(number, message, sid))
        self._close()

    def _close(self) -> None:
        if self._websocket is not None:
            self._websocket.close()

    def _stop(self, following: Following) -> None:
        try:
            self._services.turns.stop(self.holder.identity, turn_id=following.log.turn_id)
        except ChatError as error:
            log.warning("a turn could not be stopped: %s", error.code, extra={"turn": following.log.turn_id})
