"""WebSockets to vendors: frames however they are cut, refusals told, hang-ups at once."""

from __future__ import annotations

import socket

import gevent
import pytest
from gevent.event import Event
from gevent.pywsgi import WSGIServer
from geventwebsocket.handler import WebSocketHandler
from hypothesis import given
from hypothesis import strategies as st

from services.errors import VendorError, VendorOverloaded, VendorRefused, VendorTimeout
from services.wire import websocket_client
from services.wire.dial import DialSettings
from services.wire.websocket_client import HandshakeRefusedError, WebSocket, WebSocketClient
from services.wire.websocket_frames import MAX_MESSAGE_BYTES, FrameReader
from simulators.loopback import Exchange, LoopbackServer
from simulators.websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, ServerSocket, frame
from tests.services.wire.servers import closed_port, read_request, server_side, serving

WHOLE = 0x80


class Peer(LoopbackServer):
    """Accepts, and then does what `script` does."""

    def __init__(self, script: object) -> None:
        super().__init__()
        self._script = script

    def answer(self, exchange: Exchange) -> None:
        peer = ServerSocket(exchange)
        peer.accept({})
        self._script(exchange, peer)  # type: ignore[operator]

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1)


def all_of(url: str, settings: DialSettings | None = None) -> list[bytes]:
    with WebSocketClient(settings or DialSettings()).open(url) as opened:
        return rest_of(opened)


def rest_of(opened: WebSocket) -> list[bytes]:
    found: list[bytes] = []
    while messages := opened.receive():
        found += messages
    return found


# Frames


@given(
    st.lists(st.tuples(st.binary(max_size=300), st.integers(1, 100)), max_size=6),
    st.lists(st.integers(1, 200), min_size=1, max_size=20),
)
def test_messages_are_whole_however_they_are_cut(messages: list[tuple[bytes, int]], cuts: list[int]) -> None:
    """Into fragments with pings between them, and into segments anywhere."""
    data = b""
    for payload, size in messages:
        parts = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
        for number, part in enumerate(parts):
            last = WHOLE if number == len(parts) - 1 else 0
            data += frame(last | (CONTINUATION if number else TEXT), part) + frame(WHOLE | PING, b"p")
    reader = FrameReader()
    found: list[bytes] = []
    at = turn = 0
    while at < len(data):
        found += reader.feed(data[at : at + cuts[turn % len(cuts)]])
        at += cuts[turn % len(cuts)]
        turn += 1
    assert found == [payload for payload, _ in messages]
    assert (reader.is_over, reader.ping) == (False, b"p" if messages else None)


@pytest.mark.parametrize("size", [0, 125, 126, 127, 65_535, 65_536, MAX_MESSAGE_BYTES])
def test_every_way_to_write_a_length_is_read(size: int) -> None:
    """One, three and nine bytes; text and binary are given alike."""
    for kind in (TEXT, BINARY):
        data = frame(WHOLE | kind, b"x" * size)
        assert FrameReader().feed(data) == [b"x" * size]
        reader = FrameReader()
        byte_by_byte = [message for at in range(12) for message in reader.feed(data[at : at + 1])]
        assert byte_by_byte + reader.feed(data[12:]) == [b"x" * size]


@pytest.mark.parametrize(
    "breach",
    [
        b"\x81\x82abcdxx",  # masked
        b"\xc1\x00",  # a reserved bit
        b"\x83\x00",  # an unknown kind
        frame(WHOLE | CONTINUATION, b"x"),  # goes on from nothing
        frame(TEXT, b"x") + frame(WHOLE | TEXT, b"y"),  # begins within another
        frame(PING, b""),  # a control frame in fragments
        frame(WHOLE | PING, b"x" * 126),
        b"\x81\x7f" + (MAX_MESSAGE_BYTES + 1).to_bytes(8, "big"),  # announced, not sent
        frame(TEXT, b"x" * MAX_MESSAGE_BYTES) + frame(WHOLE | CONTINUATION, b"x"),
    ],
    ids=lambda breach: breach[:12].hex(),
)
def test_what_breaks_the_rules_is_the_end(breach: bytes) -> None:
    """What came before it is given first."""
    reader = FrameReader()
    assert reader.feed(frame(WHOLE | TEXT, b"before") + breach) == [b"before"]
    assert reader.is_over
    assert reader.fault

    def peer(exchange: Exchange, _peer: ServerSocket) -> None:
        exchange.raw(frame(WHOLE | TEXT, b"before") + breach)
        exchange.pause(60)

    with Peer(peer) as server, WebSocketClient(DialSettings()).open(server.ws_url) as opened:
        assert opened.receive() == [b"before"]
        with pytest.raises(VendorOverloaded):
            opened.receive()


# Connections


def test_a_stock_server_understands_us() -> None:
    """Text of every length class arrives and comes back, through an upgrade of its own."""

    def echo(environ: dict[str, object], _start: object) -> list[bytes]:
        peer = environ["wsgi.websocket"]
        while (message := peer.receive()) is not None:  # type: ignore[attr-defined]
            peer.send(message)  # type: ignore[attr-defined]
        return []

    server = WSGIServer(("127.0.0.1", 0), echo, handler_class=WebSocketHandler, log=None)
    server.start()
    try:
        with WebSocketClient(DialSettings()).open(f"ws://127.0.0.1:{server.server_port}/echo?a=b") as opened:
            for text in ("", "春眠不觉晓 😀", "x" * 125, "晓" * 100, "y" * 70_000):
                opened.send(text.encode())
                assert opened.receive() == [text.encode()]
    finally:
        server.stop(timeout=0.1)


def test_an_end_is_an_end_with_and_without_a_close_frame() -> None:
    """What came before it is given; then nothing, as often as one asks."""

    def close(_exchange: Exchange, peer: ServerSocket) -> None:
        peer.send(b"one")
        peer.close(1011, b"why")

    def cut(_exchange: Exchange, peer: ServerSocket) -> None:
        peer.send(b"one")

    for script in (close, cut):
        with Peer(script) as server, WebSocketClient(DialSettings()).open(server.ws_url) as opened:
            assert rest_of(opened) == [b"one"]
            assert opened.receive() == []


def test_pings_are_answered_the_latest_at_least() -> None:
    """A flood of them costs one answer for each read, and hides no message."""
    answered: list[bytes] = []

    def flood(_exchange: Exchange, peer: ServerSocket) -> None:
        for number in range(5_000):
            peer.ping(b"%d" % number)
        while b"4999" not in answered:
            peer.take_pong()
            answered[:] = peer.pongs
        peer.send(b"after")

    with Peer(flood) as server:
        assert all_of(server.ws_url) == [b"after"]
    assert answered[-1] == b"4999"


def test_leaving_hangs_up_at_once_on_a_peer_that_says_nothing() -> None:
    """By an exception thrown at the wait, too; nobody waits for a closing handshake."""

    class Stop(Exception):
        pass

    def silent(exchange: Exchange, _peer: ServerSocket) -> None:
        exchange.pause(60)

    with Peer(silent) as server:
        reading = gevent.spawn(all_of, server.ws_url)
        call = server.wait_for_call()
        gevent.sleep(0)
        reading.kill(Stop, block=False)
        with pytest.raises(Stop):
            reading.get(timeout=5)
        assert call.hung_up.wait(1)


def test_a_refused_handshake_says_why() -> None:
    """Status, headers and body, also when the body has no length and its connection stays open."""
    for head in (b"Content-Length: 2\r\nDate: x\r\n", b"Date: x\r\nConnection: close\r\n"):

        def refuse(sock: socket.socket, head: bytes = head) -> None:
            read_request(sock)
            sock.sendall(b"HTTP/1.1 401 Unauthorized\r\n" + head + b"\r\n{}")

        with serving(refuse) as port, pytest.raises(HandshakeRefusedError) as caught:
            WebSocketClient(DialSettings()).open(f"ws://127.0.0.1:{port}/")
        assert (caught.value.status, caught.value.body) == (401, b"{}")
        assert caught.value.headers["date"] == "x"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 101 Switch",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: bm8=\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"x" * 70_000,
    ],
    ids=["nothing", "half", "no-http", "no-proof", "wrong-proof", "endless"],
)
def test_what_is_no_upgrade_is_a_broken_vendor(answer: bytes) -> None:
    """Whatever answers there, it is no WebSocket."""

    def handler(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(answer)

    with serving(handler) as port, pytest.raises(VendorOverloaded):
        WebSocketClient(DialSettings()).open(f"ws://127.0.0.1:{port}/")


def test_a_vendor_that_cannot_be_reached_is_told_by_its_kind(certificate: tuple[str, str]) -> None:
    """Nobody there, nobody answering in time, somebody else's certificate."""
    client = WebSocketClient(DialSettings(connect_s=0.2))
    seen = Event()

    def silent(sock: socket.socket) -> None:
        read_request(sock)
        if not sock.recv(1):
            seen.set()

    def failing(url: str) -> type[VendorError]:
        with pytest.raises(VendorError) as caught:
            client.open(url)
        return type(caught.value)

    with closed_port() as port:
        assert failing(f"ws://127.0.0.1:{port}/") is VendorOverloaded
    with serving(silent) as port:
        assert failing(f"ws://127.0.0.1:{port}/") is VendorTimeout
        assert seen.wait(1)
    with serving(lambda sock: None, ssl_context=server_side(certificate)) as port:
        assert failing(f"wss://127.0.0.1:{port}/") is VendorRefused


def test_a_wss_address_is_reached_through_the_proxy() -> None:
    """By `CONNECT`, as HTTPS is."""
    asked: list[bytes] = []

    def refuse(sock: socket.socket) -> None:
        asked.append(read_request(sock).split(b"\r\n")[0])
        sock.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

    with serving(refuse) as port, pytest.raises(VendorRefused):
        WebSocketClient(DialSettings(https_proxy=f"http://127.0.0.1:{port}")).open("wss://vendor.invalid/chat")
    assert asked == [b"CONNECT vendor.invalid:443 HTTP/1.1"]


def test_one_socket_brings_no_more_than_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless vendor is cut."""
    monkeypatch.setattr(websocket_client, "MAX_RECEIVED_BYTES", 500_000)

    def endless(_exchange: Exchange, peer: ServerSocket) -> None:
        while True:
            peer.send(b"x" * 1_000)

    with Peer(endless) as server:
        with pytest.raises(VendorOverloaded):
            all_of(server.ws_url)
        assert server.calls[0].hung_up.wait(1)


def test_close_frames_tell_their_code() -> None:
    """1005 where there is none."""
    for payload, code in ((b"", 1005), ((1011).to_bytes(2, "big") + b"why", 1011)):
        reader = FrameReader()
        assert reader.feed(frame(WHOLE | PONG, b"late") + frame(WHOLE | CLOSE, payload)) == []
        assert (reader.is_over, reader.close_code, reader.fault) == (True, code, "")
