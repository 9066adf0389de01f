"""iFlytek's dictation on loopback: signature, order and shape of frames, limits, dynamic correction, faults."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import gevent
import orjson

from simulators.loopback import Exchange, HungUp, LoopbackServer
from simulators.openai_answer import FOR_EVER_S, KEY
from simulators.spark_checks import APP_ID, SECRET, HandshakeRefusal, check_signature
from simulators.speech import Hearing
from simulators.websocket import ServerSocket

__all__ = ["APP_ID", "KEY", "SECRET", "IatFault", "IatSimulator"]

PATH = "/v2/iat"
MAX_AUDIO_LETTERS = 13_000
_RATES = {"audio/L16;rate=16000": 16_000, "audio/L16;rate=8000": 8_000}


@dataclass(frozen=True, slots=True)
class IatFault:
    """One session's script. `*_ms` counts sound received.

    Attributes:
        status: Refuse the handshake.
        code, at_ms: Report this number once so much has come.
        cut_at_ms: End the connection without a word.
        stall_at_ms: Hear no more, but keep the connection.
        no_last: Take the end, and never say the last word.
    """

    status: int = 0
    code: int = 0
    at_ms: int = 0
    cut_at_ms: int | None = None
    stall_at_ms: int | None = None
    no_last: bool = False


class IatSimulator(LoopbackServer):
    """Hears what `simulators.speech` says, and fails as it is told.

    Attributes:
        sessions: What each session was given to hear.
        longest_s, gap_s: A session's length, and the wait for data, after which it is ended.
        too_fast: Sessions whose sound came more than twice as fast as it was spoken; the real one hears worse then.
    """

    def __init__(self, *, port: int = 0, now: Callable[[], float] = time.time) -> None:
        super().__init__(port)
        self.key = KEY
        self.now = now
        self.longest_s = 60.0
        self.gap_s = 10.0
        self.sessions: list[Hearing] = []
        self.too_fast = 0
        self._script: list[IatFault | None] = []

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1)

    def play(self, *faults: IatFault | None) -> None:
        """Script the sessions that follow, one each."""
        self._script += faults

    def answer(self, exchange: Exchange) -> None:
        exchange.call.dialect = "iat"
        exchange.always["Date"] = formatdate(self.now(), usegmt=True)
        fault = (self._script.pop(0) if self._script else None) or IatFault()
        try:
            if exchange.call.request.path.partition("?")[0] != PATH:
                raise HandshakeRefusal(401, "Unauthorized")
            check_signature(exchange.call.request, key=self.key, now=self.now())
            if fault.status:
                raise HandshakeRefusal(fault.status, "scripted")
        except HandshakeRefusal as refusal:
            body = orjson.dumps({"message": refusal.message})
            exchange.whole(f"{refusal.status} Refused", body, {"Content-Type": "application/json"})
            return
        socket = ServerSocket(exchange)
        socket.accept({})
        session = _Session(self, exchange, socket, fault)
        try:
            session.run()
        except _Refused as refused:
            session.tell({"code": refused.code, "message": refused.message, "sid": session.sid})
            socket.close()
        finally:
            if session.hearing is not None and session.hearing.ms > 2_000 + 2_000 * (time.monotonic() - session.began):
                self.too_fast += 1


class _Refused(Exception):
    """A frame with a number other than 0; the connection is closed after it."""

    def __init__(self, code: int, message: str = "scripted") -> None:
        super().__init__(message)
        self.code, self.message = code, message


class _Session:
    """One connection. Correction goes over the last two pieces at most: `apd`, `apd`, `rpl` over both, and again."""

    def __init__(self, vendor: IatSimulator, exchange: Exchange, socket: ServerSocket, fault: IatFault) -> None:
        self.sid = f"iat{id(self):09x}@dx{len(vendor.sessions):x}"
        self.hearing: Hearing | None = None
        self.began = time.monotonic()
        self._vendor = vendor
        self._exchange = exchange
        self._socket = socket
        self._fault = fault
        self._business: dict[str, Any] = {}
        self._sn = 0
        self._open: list[tuple[int, str]] = []  # pieces that may still be corrected
        self._is_over = False

    def run(self) -> None:
        while not self._is_over:
            with gevent.Timeout(self._vendor.gap_s, _Refused(10200, "no data")):
                message = self._socket.receive()
            self._take(self._read(message))

    def tell(self, frame: dict[str, Any]) -> None:
        self._socket.send(orjson.dumps(frame))

    def _read(self, message: bytes) -> dict[str, Any]:
        """Check one frame as the vendor does."""
        try:
            frame: dict[str, Any] = orjson.loads(message)
        except orjson.JSONDecodeError:
            raise _Refused(10160, "not JSON") from None
        data = frame.get("data", {})
        status = data.get("status")
        if (status == 0) != (self.hearing is None) or status not in (0, 1, 2):
            raise _Refused(10165, "invalid handle")
        if status == 0:
            self._begin(frame)
        elif "common" in frame or "business" in frame:
            raise _Refused(10165, "invalid handle")
        return data  # type: ignore[no-any-return]

    def _begin(self, frame: dict[str, Any]) -> None:
        if frame.get("common", {}).get("app_id") != APP_ID:
            raise _Refused(10313, "invalid appid")
        self._business = frame.get("business", {})
        if self._business.get("language") not in ("zh_cn", "en_us") or self._business.get("domain") != "iat":
            raise _Refused(10163, "business")
        if not 0 < self._business.get("vad_eos", 2_000) <= 10_000:
            raise _Refused(10163, "vad_eos")
        rate = _RATES.get(frame["data"].get("format"))
        if rate is None or frame["data"].get("encoding") != "raw":
            raise _Refused(10163, "$.data.format")
        self.hearing = Hearing(rate)
        self._vendor.sessions.append(self.hearing)

    def _take(self, data: dict[str, Any]) -> None:
        hearing, fault = self.hearing, self._fault
        assert hearing is not None
        audio = data.get("audio", "")
        if len(audio) > MAX_AUDIO_LETTERS:
            raise _Refused(10163, "length of $.data.audio must be between 0,13000")
        try:
            piece = base64.b64decode(audio, validate=True)
        except binascii.Error:
            raise _Refused(10161, "not base64") from None
        if fault.stall_at_ms is not None and hearing.ms >= fault.stall_at_ms:
            self._exchange.pause(FOR_EVER_S)
        for start, _, word in hearing.take(piece):
            self._say(start, word)
        if fault.code and hearing.ms >= fault.at_ms:
            raise _Refused(fault.code)
        if fault.cut_at_ms is not None and hearing.ms >= fault.cut_at_ms:
            raise HungUp
        if hearing.ms >= self._vendor.longest_s * 1000:
            raise _Refused(10114, "session timeout")
        if data["status"] == 2:
            if fault.no_last:
                self._exchange.pause(FOR_EVER_S)
            self._finish()
        elif hearing.words and hearing.quiet_ms >= self._business.get("vad_eos", 2_000):
            self._finish()

    def _say(self, start_ms: int, word: str) -> None:
        """A new word: first its beginning, then the whole in its place; every second time over the word before, too."""
        if self._business.get("dwa") != "wpgs":
            self._result(start_ms, word, status=1)
            return
        self._result(start_ms, word[:1], pgs={"pgs": "apd"}, status=1)
        if len(self._open) == 2:
            (first, before), (last, _) = self._open
            self._open = []
            self._result(start_ms, before + word, pgs={"pgs": "rpl", "rg": [first, last]}, status=1)
            self._open = []
        else:
            number = self._sn
            self._result(start_ms, word, pgs={"pgs": "rpl", "rg": [number, number]}, status=1)
            self._open = [(self._sn, word)]

    def _finish(self) -> None:
        hearing = self.hearing
        assert hearing is not None
        for start, _, word in hearing.finish():
            self._say(start, word)
        self._result(0, "", pgs={"pgs": "apd"} if self._business.get("dwa") == "wpgs" else None, status=2, is_last=True)
        self._socket.close()
        self._is_over = True

    def _result(
        self, start_ms: int, text: str, *, pgs: dict[str, Any] | None = None, status: int, is_last: bool = False
    ) -> None:
        self._sn += 1
        words = [{"bg": start_ms // 10, "cw": [{"w": letter, "sc": 0}]} for letter in text] or [
            {"bg": 0, "cw": [{"w": "", "sc": 0}]}
        ]
        result = {"sn": self._sn, "ls": is_last, "bg": 0, "ed": 0, "ws": words, **(pgs or {})}
        if pgs is not None and pgs["pgs"] == "apd" and self._open:
            self._open.append((self._sn, text))
        data = {"status": 0 if self._sn == 1 and not is_last else status, "result": result}
        self.tell({"code": 0, "message": "success", "sid": self.sid, "data": data})
