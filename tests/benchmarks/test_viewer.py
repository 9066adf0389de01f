"""The viewer finds every fault a relay can have, and nothing wrong with a relay that has none."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest

from benchmarks.script import Script
from benchmarks.socketio_frames import FrameReader, PeerBroke, text_frame
from benchmarks.viewer import Tally, Viewer

SCRIPT = Script(stream=7, count=12)
HANDSHAKE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


def frame(payload: str) -> bytes:
    data = payload.encode()
    head = bytes((len(data),)) if len(data) < 126 else b"\x7e" + len(data).to_bytes(2, "big")
    return b"\x81" + head + data


def event(name: str, **body: object) -> bytes:
    return frame("42/text," + json.dumps([name, {"turn": "t", "epoch": 1, **body}]))


def delta(offset: int, text: str, count: int = 1) -> bytes:
    return event("turn_delta", offset=offset, count=count, kind="text", text=text)


def end(offset: int, text: str) -> bytes:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return event("turn_end", offset=offset, status="done", reason="stop", length=len(text), sha256=digest)


def answer(pieces: list[str]) -> list[bytes]:
    """A faultless stream: one frame a piece, then the ending."""
    frames = [delta(offset, piece) for offset, piece in enumerate(pieces, 1)]
    return [*frames, end(len(pieces) + 1, "".join(pieces))]


def started(tally: Tally) -> Viewer:
    viewer = Viewer(SCRIPT, sent=None, tally=tally)
    viewer.receive(HANDSHAKE + frame("0{}") + frame('40/text,{"sid":"s"}') + event("welcome"), now=0)
    assert viewer.stage == "joined"
    viewer.start(model="m", window_ms=0)
    viewer.receive(frame('43/text,1[{"ok":true,"turn":"t","epoch":1,"offset":0}]'), now=0)
    return viewer


def test_a_whole_answer_is_accepted_however_its_bytes_are_cut() -> None:
    """Frames may be split anywhere and arrive in any grouping."""
    stream = b"".join(answer(SCRIPT.pieces()))
    for size in (1, 7, 300, len(stream)):
        tally = Tally()
        viewer = started(tally)
        for at in range(0, len(stream), size):
            viewer.receive(stream[at : at + size], now=0)
        assert (viewer.stage, tally.pieces, tally.frames) == ("ended", 12, 12)


def test_the_spacing_of_json_does_not_matter() -> None:
    """Compact events take a shorter way through the viewer than spaced ones, to the same end."""
    stream = b"".join(answer(SCRIPT.pieces()))
    assert b'["turn_delta", {' in stream
    tally = Tally()
    viewer = started(tally)
    for offset, piece in enumerate(SCRIPT.pieces(), 1):
        body = {"turn": "t", "epoch": 1, "offset": offset, "count": 1, "kind": "text", "text": piece}
        viewer.receive(frame("42/text," + json.dumps(["turn_delta", body], separators=(",", ":"))), now=0)
    viewer.receive(end(13, SCRIPT.text()), now=0)
    assert (viewer.stage, tally.pieces, tally.frames) == ("ended", 12, 12)


def test_merged_pieces_are_counted_as_the_vendor_sent_them() -> None:
    """A server may join pieces, in one entry or in several; what was sold decides the count."""
    pieces = SCRIPT.pieces()
    for count in (1, 12):
        tally = Tally()
        viewer = started(tally)
        viewer.receive(delta(1, "".join(pieces), count) + end(count + 1, SCRIPT.text()), now=0)
        assert (viewer.stage, tally.pieces, tally.frames) == ("ended", 12, 1)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda frames: frames[:3] + frames[4:], id="lost"),
        pytest.param(lambda frames: frames[:4] + frames[3:], id="repeated"),
        pytest.param(lambda frames: [*frames[:3], frames[4], frames[3], *frames[5:]], id="swapped"),
        pytest.param(lambda frames: [*frames[:3], delta(4, "?"), *frames[4:]], id="altered"),
        pytest.param(lambda frames: [*frames[:3], frames[3].replace(b'"t"', b'"u"'), *frames[4:]], id="misdirected"),
        pytest.param(lambda frames: [*frames, delta(14, "more")], id="after the ending"),
        pytest.param(lambda frames: [*frames[:5], end(6, "")], id="cut short"),
        pytest.param(lambda frames: answer(Script(8, 12).pieces()), id="another stream's"),
        pytest.param(lambda frames: [*frames[:-1], end(13, "else")], id="wrong digest"),
    ],
)
def test_a_spoiled_answer_is_noticed(spoil: Callable[[list[bytes]], list[bytes]]) -> None:
    """Loss, repetition, disorder, change and misdirection all end the run."""
    with pytest.raises(PeerBroke):
        started(Tally()).receive(b"".join(spoil(answer(SCRIPT.pieces()))), now=0)


def test_a_refused_turn_ends_the_run_with_the_servers_words() -> None:
    """A load of refusals must not look like a fast server."""
    viewer = Viewer(SCRIPT, sent=None, tally=Tally())
    viewer.receive(HANDSHAKE + event("welcome"), now=0)
    viewer.start(model="m", window_ms=None)
    with pytest.raises(PeerBroke, match="model_unknown"):
        viewer.receive(frame('43/text,1[{"ok":false,"error":{"code":"model_unknown"}}]'), now=0)


def test_pings_are_answered() -> None:
    """A silent viewer would be disconnected in the middle of a run."""
    assert started(Tally()).receive(frame("2"), now=0) == text_frame("3")


def test_long_frames_are_read_whole() -> None:
    """All three length forms of WebSocket."""
    payloads = [b"a" * 125, b"b" * 126, b"c" * 70_000]
    heads = [b"\x81\x7d", b"\x81\x7e\x00\x7e", b"\x81\x7f" + (70_000).to_bytes(8, "big")]
    stream = b"".join(head + payload for head, payload in zip(heads, payloads, strict=True))
    reader = FrameReader()
    parts = [stream[at : at + 1000] for at in range(0, len(stream), 1000)]
    assert [payload for part in parts for payload in reader.feed(part)] == payloads
