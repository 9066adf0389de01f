"""iFlytek's picture services on loopback: text recognition over HTTP, picture understanding over a WebSocket."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import orjson

from simulators.loopback import Exchange, LoopbackServer
from simulators.spark_checks import APP_ID, KEY, FrameRefusal, HandshakeRefusal, check_signature
from simulators.websocket import ServerSocket

__all__ = ["APP_ID", "KEY", "OcrSimulator"]

OCR_PATH, PICTURE_PATH = "/v1/service/v1/ocr/general", "/v2.1/image"
LINES = ("实时聊天服务器", "Real-time chat")
ANSWER = ("图中", "有一片", "红色。")
MAX_SKEW_S = 300


class OcrSimulator(LoopbackServer):
    """Checks what the vendor checks.

    Attributes:
        code: Answer with this number; `after` so many frames of an answer.
        breaks: `cut` ends an answer early, `gap` leaves a frame out, `html` is no JSON at all, `busy` is HTTP 503.
        now: The simulator's clock.
    """

    def __init__(self, port: int = 0, *, now: Callable[[], float] = time.time) -> None:
        super().__init__(port)
        self.code = 0
        self.after = 0
        self.breaks = ""
        self.now = now

    @property
    def picture_url(self) -> str:
        return self.url.replace("http", "ws", 1) + PICTURE_PATH

    def answer(self, exchange: Exchange) -> None:
        path = exchange.call.request.path.partition("?")[0]
        if path == OCR_PATH and exchange.call.request.method == "POST":
            self._recognise(exchange)
        elif path == PICTURE_PATH:
            self._understand(exchange)
        else:
            exchange.whole("404 Not Found", b"", {})

    # Text recognition

    def _recognise(self, exchange: Exchange) -> None:
        if self.breaks in ("html", "busy"):
            status = "503 Busy" if self.breaks == "busy" else "200 OK"
            exchange.whole(status, b"<html>", {"Content-Type": "text/html"})
            return
        code = self.code or self._checked(exchange)
        told: dict[str, Any] = {"code": str(code), "desc": "success" if not code else "illegal access", "sid": "wcr1"}
        if not code:
            lines = [_line(text, number) for number, text in enumerate(LINES)]
            told["data"] = {"block": [{"type": "text", "line": lines}]}
        exchange.whole("200 OK", orjson.dumps(told), {"Content-Type": "application/json"})

    def _checked(self, exchange: Exchange) -> int:
        headers = exchange.call.request.headers
        when, param = headers.get("x-curtime", "0"), headers.get("x-param", "")
        checksum = hashlib.md5(f"{KEY}{when}{param}".encode(), usedforsecurity=False).hexdigest()
        if headers.get("x-appid") != APP_ID or headers.get("x-checksum") != checksum:
            return 10105
        if abs(int(when) - self.now()) > MAX_SKEW_S:
            return 10105
        if orjson.loads(base64.b64decode(param)).get("language") not in ("en", "cn|en"):
            return 10107
        body = exchange.call.request.body
        try:
            data = base64.b64decode(parse_qs(body.decode())["image"][0], validate=True)
        except (KeyError, UnicodeDecodeError, binascii.Error):
            return 10106
        width, height = _size(data)
        fits = len(body) <= 4 * 1_048_576 and min(width, height) >= 15 and max(width, height) <= 4_096
        return 0 if fits else 10109

    # Picture understanding

    def _understand(self, exchange: Exchange) -> None:
        try:
            check_signature(exchange.call.request, key=KEY, now=self.now())
        except HandshakeRefusal as refusal:
            body = orjson.dumps({"message": refusal.message})
            exchange.whole(f"{refusal.status} Refused", body, {"Content-Type": "application/json"})
            return
        socket = ServerSocket(exchange)
        socket.accept({})
        try:
            self._check_request(orjson.loads(socket.receive()))
            self._tell(socket)
        except FrameRefusal as refusal:
            header = {"code": refusal.code, "message": refusal.message, "sid": "cht1", "status": 2}
            socket.send(orjson.dumps({"header": header}))
        socket.close()

    def _check_request(self, body: dict[str, Any]) -> None:
        if body["header"]["app_id"] != APP_ID:
            raise FrameRefusal(11200, "AppIdNoAuthError:app_id")
        if body["parameter"]["chat"]["domain"] not in ("imagev3", "general"):
            raise FrameRefusal(10003, "ClientMsgError:invalid model domain")
        picture, question = body["payload"]["message"]["text"]
        if (picture["content_type"], question["content_type"]) != ("image", "text") or not question["content"]:
            raise FrameRefusal(10003, "ClientMsgError:content_type")
        data = base64.b64decode(picture["content"], validate=True)
        width, height = _size(data)
        if len(data) > 4 * 1_048_576 or not min(width, height) > 50 or max(width, height) >= 6_000:
            raise FrameRefusal(10041, "ImageSize:pixels")

    def _tell(self, socket: ServerSocket) -> None:
        for number, text in enumerate(ANSWER):
            if self.code and number == self.after:
                raise FrameRefusal(self.code, "EngineInternalError:a secret of the vendor's own")
            if self.breaks == "cut" and number == 2:
                return
            if self.breaks == "gap" and number == 1:
                continue
            socket.send(orjson.dumps(_frame(number, text)))


def _frame(number: int, text: str) -> dict[str, Any]:
    status = 0 if number == 0 else 2 if number == len(ANSWER) - 1 else 1
    content = {"content": text, "role": "assistant", "index": 0, "content_type": "text"}
    frame: dict[str, Any] = {
        "header": {"code": 0, "message": "Success", "sid": "cht1", "status": status},
        "payload": {"choices": {"status": status, "seq": number, "text": [content]}},
    }
    if status == 2:
        counts = {"question_tokens": 6, "prompt_tokens": 280, "completion_tokens": 7, "total_tokens": 287}
        frame["payload"]["usage"] = {"text": counts}
    return frame


def _line(text: str, number: int) -> dict[str, Any]:
    top = 40 * number
    return {
        "confidence": 0.9,
        "location": {"top_left": {"x": 10, "y": top}, "right_bottom": {"x": 200, "y": top + 30}},
        "word": [{"content": letter} for letter in text],
    }


def _size(data: bytes) -> tuple[int, int]:
    """Of a PNG or a JPEG; nothing else is taken."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height = struct.unpack_from(">II", data, 16)
        return width, height
    at = 2
    while data[:2] == b"\xff\xd8" and at + 9 < len(data):
        if data[at + 1] in (0xC0, 0xC1, 0xC2):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 0, 0
