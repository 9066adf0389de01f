"""A stock python-socketio client that keeps the viewer's rule of the protocol, checking it as it goes."""

from __future__ import annotations

import hashlib
from typing import Any

import socketio
from gevent.event import Event


class Device:
    """One connection to one namespace. Every event it receives for a turn is applied to that turn's `Seen`."""

    def __init__(
        self, address: str, *, token: str | None = None, transport: str = "websocket", namespace: str = "/text"
    ) -> None:
        self.address = address
        self.token = token
        self.transport = transport
        self.namespace = namespace
        self.welcome: dict[str, Any] = {}
        self.notes: list[tuple[str, dict[str, Any]]] = []
        self.turns: dict[str, Seen] = {}
        self._client: Any = None

    def connect(self) -> Device:
        client = self._client = socketio.Client(reconnection=False)
        welcomed = Event()

        def on_event(event: str, payload: dict[str, Any]) -> None:
            if event == "welcome":
                self.welcome = payload
                self.token = payload.get("token") or self.token
                welcomed.set()
            elif event.startswith("turn_"):
                self.seen(payload["turn"]).take(event, payload)
            else:
                self.notes.append((event, payload))

        client.on("*", on_event, namespace=self.namespace)
        auth = {"token": self.token} if self.token else None
        client.connect(self.address, auth=auth, namespaces=[self.namespace], transports=self.transport.split(","))
        assert welcomed.wait(10), "no welcome"
        return self

    def seen(self, turn: str) -> Seen:
        return self.turns.setdefault(turn, Seen())

    def call(self, event: str, *payload: Any) -> dict[str, Any]:
        """Emit and give the acknowledgement; none or one payload."""
        answer = self._client.call(event, payload[0] if payload else None, namespace=self.namespace, timeout=30)
        assert isinstance(answer, dict)
        return answer

    def ask(self, client_id: str, text: str, **fields: Any) -> dict[str, Any]:
        answer = self.call("turn_start", {"client_id": client_id, "text": text, **fields})
        assert answer["ok"], answer
        return answer

    def attach(self, turn: str) -> dict[str, Any]:
        """Go on from what was seen."""
        seen = self.seen(turn)
        answer = self.call("turn_attach", {"turn": turn, "epoch": seen.epoch, "after": seen.last})
        assert answer["ok"], answer
        if "text" in answer:
            seen.epoch, seen.last, seen.text = answer["epoch"], answer["from"], answer["text"]
        return answer

    def emit(self, event: str, payload: Any) -> None:
        """Send without waiting for an answer."""
        self._client.emit(event, payload, namespace=self.namespace)

    def gone(self) -> Event:
        """Set when the connection ends."""
        gone = Event()
        self._client.on("disconnect", lambda *_: gone.set(), namespace=self.namespace)
        return gone

    def leave(self) -> None:
        self._client.disconnect()


class Seen:
    """What one device has seen of one turn."""

    def __init__(self) -> None:
        self.epoch, self.last, self.text = 1, 0, ""
        self.end: dict[str, Any] = {}
        self.ended, self.moved = Event(), Event()

    def take(self, event: str, payload: dict[str, Any]) -> None:
        if payload["epoch"] < self.epoch:
            return
        if event == "turn_rewind":
            self.epoch, self.last = payload["epoch"], payload["offset"]
            self.text = self.text[: payload["length"]]
            return
        count = payload.get("count", 1)
        if payload["offset"] + count - 1 <= self.last:
            return
        assert payload["offset"] == self.last + 1, "a hole"
        self.last += count
        if event == "turn_delta" and payload["kind"] == "text":
            self.text += payload["text"]
            self.moved.set()
        if event == "turn_end":
            self.end = payload
            self.ended.set()

    def whole(self) -> dict[str, Any]:
        """Wait for the ending and check length and hash against the text."""
        assert self.ended.wait(30), "no turn_end"
        assert self.end["length"] == len(self.text)
        assert self.end["sha256"] == hashlib.sha256(self.text.encode()).hexdigest()
        return self.end
