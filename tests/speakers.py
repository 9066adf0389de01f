"""A stock python-socketio client that speaks on `/voice` and keeps what it sees; and a recogniser that hears bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import socketio
from gevent.event import Event

from services.events import Stop, TranscriptFinal, TranscriptPartial
from services.speech.base import Audio, Heard, SpeechCard, SpeechRequest, SpeechSpec
from services.speech.pcm import ms_of
from tests.scripted import NoSettings

FRAME = 1_280
LIMIT_S = 20


class Ear:
    """Keeps what it heard, byte by byte; says a word for every half second, made of the bytes themselves."""

    word_ms = 500

    def __init__(self) -> None:
        self.heard: list[bytearray] = []
        self.requests: list[SpeechRequest] = []
        self.deaf = Event()
        self.deaf.set()
        self.failure: Exception | None = None
        self.card = SpeechCard("ear", "Ear", "ear", "ear-1", languages=("en", "zh"))

    def models(self) -> tuple[SpeechCard, ...]:
        return (self.card, SpeechCard("keyless", "Keyless", "ear", "ear-2", available=False))

    def listen(self, audio: Audio, request: SpeechRequest) -> Heard:
        heard = bytearray()
        self.heard.append(heard)
        self.requests.append(request)
        self.deaf.wait(LIMIT_S)
        size = audio.rate * self.word_ms // 1000 * 2
        while piece := audio.read(size):
            if self.failure is not None:
                raise self.failure
            start_ms = ms_of(len(heard), audio.rate)
            heard += piece
            yield TranscriptPartial(word_of(piece)[:2])
            yield TranscriptFinal(word_of(piece), start_ms, ms_of(len(heard), audio.rate))
        yield Stop("stop")

    def close(self) -> None:
        """Nothing is kept."""

    @property
    def spec(self) -> SpeechSpec:
        return SpeechSpec("ear", NoSettings, "EAR", lambda _: self)


def word_of(pcm: bytes) -> str:
    """What `Ear` says to a piece: its two outermost bytes and its length."""
    return f"w{pcm[0]:02x}{pcm[-1]:02x}{len(pcm):x}"


def words_of(pcm: bytes, rate: int = 16_000) -> str:
    """The transcript `Ear` makes of a whole utterance."""
    size = rate * Ear.word_ms // 1000 * 2
    return " ".join(word_of(pcm[at : at + size]) for at in range(0, len(pcm), size))


class Speaker:
    """One connection to `/voice`."""

    def __init__(self, address: str, *, token: str | None = None) -> None:
        self.address = address
        self.token = token
        self.welcome: dict[str, Any] = {}
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.next: dict[str, int] = {}
        self.came = Event()
        self.client: Any = None

    def connect(self, transport: str = "websocket") -> Speaker:
        client = self.client = socketio.Client(reconnection=False)
        welcomed = Event()

        def on_event(event: str, payload: dict[str, Any]) -> None:
            if event == "welcome":
                self.welcome = payload
                self.token = payload.get("token") or self.token
                welcomed.set()
            else:
                self.events.append((event, payload))
                self.came.set()

        client.on("*", on_event, namespace="/voice")
        auth = {"token": self.token} if self.token else None
        client.connect(self.address, auth=auth, namespaces=["/voice"], transports=[transport])
        assert welcomed.wait(LIMIT_S), "no welcome"
        return self

    def call(self, event: str, payload: Any) -> dict[str, Any]:
        answer = self.client.call(event, payload, namespace="/voice", timeout=LIMIT_S)
        assert isinstance(answer, dict)
        return answer

    def start(self, client_id: str, **fields: Any) -> dict[str, Any]:
        asked = {"client_id": client_id, "encoding": "pcm_s16le", "rate": 16_000, "channels": 1, **fields}
        answer = self.call("voice_start", asked)
        assert answer["ok"], answer
        return answer

    def send(self, turn: str, at: int, pcm: bytes) -> None:
        self.client.emit("voice_frame", {"turn": turn, "at": at, "pcm": pcm}, namespace="/voice")

    def say(self, turn: str, pcm: bytes, *, start: int = 0, frame: int = FRAME) -> None:
        """Send all of it, in frames; whenever it was too much, go on from where the server says."""
        at = start
        while True:
            seen = len(self.events)
            while at < len(pcm) and not self._came_since(seen, "voice_overrun"):
                self.send(turn, at, pcm[at : at + frame])
                at += frame
                gevent.sleep(0.001)
            answer = self.call("voice_end", {"turn": turn, "at": len(pcm)})
            assert answer["ok"], answer
            if answer["next"] == len(pcm):
                return
            self.wait_for(lambda seen=seen: self._came_since(seen, "voice_overrun"))
            told = len(self.events)
            self.wait_for(lambda told=told: self._came_since(told, "voice_ack"))
            at = self.of("voice_ack", turn)[-1]["next"]

    def _came_since(self, seen: int, name: str) -> bool:
        return any(event == name for event, _ in self.events[seen:])

    def wait_for(self, condition: Any) -> None:
        """Wait until something that came makes it true."""
        while not condition():
            self.came.clear()
            if condition():
                return
            assert self.came.wait(LIMIT_S), f"it did not come: {self.events[-5:]}"

    def of(self, name: str, turn: str | None = None) -> list[dict[str, Any]]:
        """The events of a name, of one turn where that is asked for."""
        return [payload for event, payload in self.events if event == name and turn in (None, payload.get("turn"))]

    def end_of(self, turn: str) -> dict[str, Any]:
        """Wait for the ending."""
        self.wait_for(lambda: self.of("turn_end", turn))
        (ending,) = self.of("turn_end", turn)
        return ending

    def entries(self, turn: str) -> Iterator[tuple[int, str, str]]:
        """Offset, event and text of a turn's entries."""
        for event, payload in self.events:
            if payload.get("turn") == turn and "offset" in payload:
                yield payload["offset"], event, payload.get("text", "")

    def transcript(self, turn: str) -> str:
        return "".join(payload["text"] for payload in self.of("voice_final", turn))
