"""A plain script for Spark's chat protocol, written from the vendor's documents; only its address is this server's."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from email.utils import formatdate
from typing import Any
from urllib.parse import urlencode, urlsplit

import websocket

from services.clock import Clock
from tests.servers import Stand

LIMIT_S = 20
PATH = "/spark/v3.5/chat"

Keys = dict[str, str]


def issue(stand: Stand, who: dict[str, str], name: str = "desk") -> Keys:
    """A new credential of the user whose headers these are."""
    made = stand.site.client().post("/v1/spark/keys", json={"name": name}, headers=who)
    assert made.status_code == 201, made.text
    keys: Keys = made.get_json()
    return keys


def signed(address: str, keys: Keys, clock: Clock, *, path: str = PATH, **over: str) -> str:
    """The address to connect to. `over` replaces parts: `secret` before the signing, the others after it."""
    host, date = urlsplit(address).netloc, formatdate(clock.now_ms() / 1000, usegmt=True)
    text = f"host: {host}\ndate: {date}\nGET {path} HTTP/1.1"
    secret = over.pop("secret", keys["api_secret"])
    signature = base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()
    origin = (
        f'api_key="{keys["api_key"]}", algorithm="hmac-sha256", headers="host date request-line", '
        f'signature="{signature}"'
    )
    query = {"authorization": base64.b64encode(origin.encode()).decode(), "date": date, "host": host}
    query = {name: value for name, value in {**query, **over}.items() if value != "-"}
    return f"{address.replace('http', 'ws')}{path}?{urlencode(query)}"


def question(keys: Keys, text: Any = "hi", *, domain: str = "generalv3.5", **chat: Any) -> dict[str, Any]:
    """The one message a client sends."""
    texts = text if isinstance(text, list) else [{"role": "user", "content": text}]
    return {
        "header": {"app_id": keys["app_id"], "uid": "12345"},
        "parameter": {"chat": {"domain": domain, **chat}},
        "payload": {"message": {"text": texts}},
    }


class Script:
    """One connection of it."""

    def __init__(self, url: str, headers: list[str] | None = None, *, sockopt: tuple[Any, ...] = ()) -> None:
        self.socket = websocket.create_connection(url, timeout=LIMIT_S, header=headers or [], sockopt=sockopt)

    def ask(self, message: Any) -> Script:
        self.socket.send(message if isinstance(message, str) else json.dumps(message))
        return self

    def frame(self) -> Any:
        return json.loads(self.socket.recv())

    def frames(self) -> list[Any]:
        """Everything up to the end of the connection."""
        frames = [json.loads(message) for message in iter(self.socket.recv, "")]
        self.socket.shutdown()
        return frames

    def leave(self) -> None:
        self.socket.close(timeout=0)


def asked(stand: Stand, address: str, keys: Keys, message: Any = None, *, path: str = PATH) -> list[Any]:
    """The frames of one answer."""
    script = Script(signed(address, keys, stand.services.clock, path=path))
    return script.ask(question(keys) if message is None else message).frames()


def said(frames: list[Any]) -> str:
    """The answer, as every client of Spark puts it together."""
    assert [frame["header"]["code"] for frame in frames] == [0] * len(frames), frames[-1]
    return "".join(frame["payload"]["choices"]["text"][0]["content"] for frame in frames)
