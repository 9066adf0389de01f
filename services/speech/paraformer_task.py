"""One task of DashScope's realtime recognition: run-task, sound, finish-task, and what comes back meanwhile."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Generator
from time import monotonic
from typing import Any

import gevent
import orjson

from services.errors import VendorError, VendorTimeout
from services.events import Stop, TranscriptFinal, TranscriptPartial
from services.speech.base import Audio, Heard, SpeechRequest
from services.speech.listening import messages_soon
from services.speech.paraformer_codes import of_task
from services.speech.pcm import QUIET_PEAK, bytes_of, ms_of, peak
from services.wire.websocket_client import WebSocket

log = logging.getLogger(__name__)

FRAME_MS = 100


class Limits:
    """Seconds. The vendor fails a task after 23 without data, and one that hears only silence when not told to wait.

    Attributes:
        pause_s: So long without sound, and silence is sent in its place.
        started_s, finish_s: Until `task-started`, and from `finish-task` to `task-finished`.
        first_s: Until the first result after speech.
    """

    pause_s = 5.0
    started_s = 10.0
    finish_s = 15.0
    first_s = 15.0


class Task:
    """Passes `audio` on through `socket`. For one use."""

    def __init__(self, socket: WebSocket, audio: Audio, request: SpeechRequest, limits: Limits) -> None:
        self._socket = socket
        self._audio = audio
        self._request = request
        self._limits = limits
        self._id = uuid.uuid4().hex
        self._heard = ""  # of the current sentence
        self._begins_ms = 0
        self._sent = 0  # bytes of the speaker's
        self._filled: list[tuple[int, int]] = []  # silence of ours: after how many bytes, how many
        self._spoken_at = 0.0
        self._finished_at = 0.0
        self._has_answered = False

    def run(self) -> Heard:
        """Partials, finals and one `Stop`.

        Raises:
            VendorError: It failed; what had been heard of the sentence was yielded as a final before.
        """
        self._say("run-task", self._start())
        sender: gevent.Greenlet | None = None
        until = monotonic() + self._limits.started_s
        try:
            while True:
                for event in self._receive(until):
                    kind = event["header"].get("event")
                    if kind == "task-started" and sender is None:
                        sender, until = gevent.spawn(self._send), 0.0
                    elif kind == "result-generated":
                        yield from self._result(event["payload"])
                    elif kind == "task-finished":
                        yield from self._rest()
                        yield Stop("stop")
                        return
                    elif kind == "task-failed":
                        code, message = (str(event["header"].get(f"error_{name}", "")) for name in ("code", "message"))
                        log.warning("paraformer failed code=%.80s task=%s", code, self._id)
                        raise of_task(code, message)
        except VendorError:
            yield from self._rest()
            raise
        finally:
            if sender is not None:
                sender.kill()

    def _receive(self, until: float) -> list[dict[str, Any]]:
        """Events; none when a moment passed without one.

        Raises:
            VendorOverloaded: The connection broke off.
            VendorTimeout: The vendor said nothing for too long.
        """
        messages = messages_soon(self._socket)
        if messages is not None:
            return [orjson.loads(message) for message in messages]
        now, limits = monotonic(), self._limits
        is_late = (
            (until and now >= until)
            or (self._finished_at and now - self._finished_at >= limits.finish_s)
            or (self._spoken_at and not self._has_answered and now - self._spoken_at >= limits.first_s)
        )
        if is_late:
            raise VendorTimeout("The recogniser did not answer in time.")
        return []

    def _result(self, payload: dict[str, Any]) -> Generator[TranscriptPartial | TranscriptFinal, None, None]:
        self._has_answered = True
        sentence = payload["output"]["sentence"]
        if sentence.get("heartbeat"):
            return
        text = str(sentence.get("text") or "")
        self._begins_ms = int(sentence.get("begin_time") or 0)
        if sentence.get("end_time") is None and not sentence.get("sentence_end"):
            if text and text != self._heard:
                self._heard = text
                yield TranscriptPartial(text)
            return
        self._heard = ""
        if text:
            yield self._final(text, int(sentence.get("end_time") or self._begins_ms))

    def _rest(self) -> Generator[TranscriptFinal, None, None]:
        """What was heard of a sentence that the vendor did not end."""
        if text := self._heard:
            self._heard = ""
            yield self._final(text, ms_of(self._sent, self._audio.rate))

    def _final(self, text: str, end_ms: int) -> TranscriptFinal:
        start = self._of_speaker(self._begins_ms)
        return TranscriptFinal(text, start, max(self._of_speaker(end_ms), start))

    def _of_speaker(self, at_ms: int) -> int:
        """A place in the speaker's sound; the vendor's count has our silence in it."""
        for after, filled in self._filled:
            begins = ms_of(after, self._audio.rate)
            if at_ms <= begins:
                break
            at_ms = max(at_ms - ms_of(filled, self._audio.rate), begins)
        return min(at_ms, ms_of(self._sent, self._audio.rate))

    def _send(self) -> None:
        """Pass the sound on; runs in a greenlet of its own, from `task-started` on."""
        size = bytes_of(FRAME_MS / 1000, self._audio.rate)
        while (piece := self._audio.read(size, self._limits.pause_s)) != b"":
            if piece is None:
                self._filled.append((self._sent, size))
                self._socket.send_binary(bytes(size))
                continue
            if not self._spoken_at and peak(piece) >= QUIET_PEAK:
                self._spoken_at = monotonic()
            self._sent += len(piece)
            self._socket.send_binary(piece)
        self._say("finish-task", {"input": {}})
        self._finished_at = monotonic()

    def _start(self) -> dict[str, Any]:
        parameters: dict[str, Any] = {
            "format": "pcm",
            "sample_rate": self._audio.rate,
            "semantic_punctuation_enabled": False,
            "heartbeat": True,
        }
        if self._request.language is not None:
            parameters["language_hints"] = [self._request.language]
        return {
            "task_group": "audio",
            "task": "asr",
            "function": "recognition",
            "model": self._request.model,
            "parameters": parameters,
            "input": {},
        }

    def _say(self, action: str, payload: dict[str, Any]) -> None:
        header = {"action": action, "task_id": self._id, "streaming": "duplex"}
        self._socket.send(orjson.dumps({"header": header, "payload": payload}))
