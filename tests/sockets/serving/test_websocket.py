"""What a hand-made WebSocket peer can do to a running worker."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest

from sockets.serving.frame import Frame
from tests.sockets.serving.conftest import Served, wait_until
from tests.sockets.serving.raw_client import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Closed,
    RawClient,
    RawWebSocket,
    Wire,
    handshake,
    masked,
    read_response,
)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        pytest.param(b"\x81\x01x", 1002, id="no mask"),
        pytest.param(masked(TEXT, b"", announced=2**31), 1009, id="2 GB announced"),
        pytest.param(masked(BINARY, b"", announced=50_000_000) + bytes(8_000_000), 1009, id="50 MB before joining"),
        pytest.param(masked(PING, b"x" * 126), 1002, id="long ping"),
        pytest.param(masked(TEXT, b"\xff"), 1007, id="no UTF-8"),
        pytest.param(masked(TEXT, b"", final=False) + masked(0, b"", final=False) * 2_000, 1008, id="empty fragments"),
        pytest.param(masked(PING, b"") * 1_000, 1008, id="ping flood"),
        pytest.param(masked(CLOSE, b"\x03\xed"), 1002, id="close code that may not be sent"),
        pytest.param(masked(CLOSE, b"\x03\xe8\xff"), 1007, id="close reason that is no UTF-8"),
        pytest.param(masked(TEXT, b"3") * 3_000, 1008, id="packet flood"),
    ],
)
def test_a_peer_that_breaks_the_rules_is_told_why_and_its_descriptor_freed(
    served: Served, stream: bytes, code: int
) -> None:
    client = RawClient(served.address)
    client.send(stream)
    assert client.read_close() == code
    client.close()
    wait_until(lambda: served.worker.connections == 0)
    assert not served.engine.sockets


@pytest.mark.parametrize("packet", ["", "abc", "9x", "2probe", "5", "6", "0{}"])
def test_an_unknown_engine_packet_closes_and_the_handler_knows_at_once(served: Served, packet: str) -> None:
    client = RawClient(served.address, join="/echo")
    client.send_text(packet)
    assert client.read_close() == 1008
    assert [served.next()[0], served.next()] == ["connect", ("disconnect", "unknown Engine.IO packet")]


def test_the_descriptor_is_freed_even_when_the_peer_never_hangs_up(serve: Callable[..., Served]) -> None:
    served = serve(close_s=0.05)
    client = RawClient(served.address)
    client.send(b"\x81\x01x")
    wait_until(lambda: served.worker.connections == 0)
    client.wait_for_end()


def test_a_close_is_answered_with_its_own_code_and_no_words_of_the_peer_are_logged(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    client = RawClient(served.address, join="/echo")
    client.send_frame(CLOSE, b"\x0f\xa0bye")
    assert client.read_close() == 4000
    with pytest.raises(Closed):
        client.take(1)
    assert [served.next(), served.next()] == [("connect", None), ("disconnect", "transport close")]
    assert not caplog.records


def test_pings_are_answered_and_what_came_before_a_close_is_handled(served: Served) -> None:
    client = RawClient(served.address, join="/echo")
    client.send_frame(PING, b"there?")
    assert client.read_frame() == (PONG, b"there?")
    client.send(
        masked(TEXT, b'42/echo,["echo","last words"]') + masked(CLOSE, b"\x03\xe8") + masked(TEXT, b"4nonsense")
    )
    assert client.read_close() == 1000
    assert [served.next()[0], served.next(), served.next()[0]] == ["connect", ("echo", "last words"), "disconnect"]


def test_no_extension_is_agreed_to(served: Served) -> None:
    wire = RawWebSocket(served.address)
    wire.send(handshake("/socket.io/?EIO=4&transport=websocket", Sec_WebSocket_Extensions="permessage-deflate"))
    other = Wire(served.address)
    other.send(handshake("/socket.io/?EIO=4&transport=websocket", Sec_WebSocket_Extensions="permessage-deflate"))
    response = read_response(other)
    assert response.status == 101
    assert "sec-websocket-extensions" not in response.headers


def test_bytes_that_come_with_the_handshake_are_not_lost(served: Served) -> None:
    wire = Wire(served.address)
    wire.send(handshake("/socket.io/?EIO=4&transport=websocket") + masked(TEXT, b"40/echo,"))
    assert read_response(wire).status == 101
    assert served.next() == ("connect", None)


def test_large_messages_are_taken_once_the_client_is_known_and_stall_nobody(served: Served) -> None:
    """Five messages just under the limit; another client's ping never waits long. The bound is generous: CI is slow."""
    big = RawClient(served.address, join="/echo")
    other = RawClient(served.address, join="/echo")
    text = "字" * 300_000
    assert len(text.encode()) < served.engine.limits.max_message_bytes
    answers = [gevent.spawn(big.call, "/echo", "echo", text[:-1])]
    waits = []
    while not answers[0].ready():
        started = time.monotonic()
        assert other.call("/echo", "inline", 1) == [1]
        waits.append(time.monotonic() - started)
    assert answers[0].get() == [text[:-1]]
    assert max(waits) < 0.5
    big.send_frame(TEXT, b"x" * 1_000_001)
    assert big.read_close() == 1009


def test_a_reset_in_mid_frame_runs_the_disconnect_handler_once(served: Served) -> None:
    client = RawClient(served.address, join="/echo")
    client.send(masked(TEXT, b"42/echo", announced=5_000))
    client.reset()
    assert [served.next()[0], served.next()] == ["connect", ("disconnect", "transport close")]
    wait_until(lambda: served.worker.connections == 0)
    assert served.echo.happened.empty()


def test_a_peer_that_answers_no_ping_is_cut_and_its_descriptor_freed(serve: Callable[..., Served]) -> None:
    served = serve(ping_interval_s=0.05, ping_timeout_s=0.05)
    before = descriptors()
    client = RawClient(served.address, join="/echo")
    assert client.read_text() == "2"
    client.wait_for_end()
    assert [served.next()[0], served.next()] == ["connect", ("disconnect", "ping timeout")]
    client.close()
    wait_until(lambda: descriptors() == before)


def test_answered_pings_keep_a_session_and_unasked_pongs_do_not_matter(serve: Callable[..., Served]) -> None:
    served = serve(ping_interval_s=0.02, ping_timeout_s=5.0, join_s=0.05)
    client = RawClient(served.address, join="/echo")
    for _ in range(5):
        while client.read_text() != "2":
            pass
        client.send_text("3")
        client.send_text("3")
    assert client.call("/echo", "echo", "still here") == ["still here"]


def test_a_viewer_that_does_not_read_costs_a_bounded_amount_and_gets_the_rest_when_it_reads(
    serve: Callable[..., Served],
) -> None:
    served = serve(max_pending_bytes=200_000)
    client = RawClient(served.address, join="/echo", receive_buffer=4_096)
    session = served.session()
    frame = Frame(b"4" + b"x" * 9_999)
    sent = 0
    while session.offer(frame):
        sent += 1
    assert session.pending_bytes <= 200_000
    drained = gevent.event.Event()
    session.when_drained(drained.set)
    assert not drained.is_set()
    received = b"".join(client.read_frame().payload for _ in range(sent))
    assert received == frame.packet * sent
    assert drained.wait(10)
    assert session.offer(Frame(b"4more"))
    assert client.read_frame().payload == b"4more"


def test_a_viewer_that_takes_nothing_for_too_long_is_cut(serve: Callable[..., Served]) -> None:
    served = serve(send_stall_s=0.1, max_pending_bytes=100_000)
    client = RawClient(served.address, join="/echo", receive_buffer=4_096)
    session = served.session()
    while session.offer(Frame(b"4" + b"x" * 9_999)):
        pass
    gone = gevent.event.Event()
    session.when_drained(gone.set)
    assert [served.next()[0], served.next()] == ["connect", ("disconnect", "peer takes nothing")]
    assert gone.wait(10)
    assert session.closed
    assert not session.offer(Frame(b"4too late"))
    client.wait_for_end()
    wait_until(lambda: served.worker.connections == 0)


def test_ordinary_packets_do_not_pile_up_for_a_slow_client(serve: Callable[..., Served]) -> None:
    served = serve(max_pending_bytes=100_000)
    client = RawClient(served.address, join="/echo", receive_buffer=4_096)
    assert served.next()[0] == "connect"
    (sid,) = served.echo.sids
    for _ in range(2_000):
        served.echo.emit("note", "x" * 10_000, to=sid)
    assert served.next() == ("disconnect", "too slow")
    client.wait_for_end()


def test_a_frame_is_encoded_once_for_all(served: Served) -> None:
    clients = [RawClient(served.address, join="/echo") for _ in range(3)]
    frame = Frame(b'42/echo,["note",1]')
    framed = frame.websocket
    for session in served.engine.sockets.values():
        assert session.offer(frame)
    assert {client.read_text() for client in clients} == {'42/echo,["note",1]'}
    assert frame.websocket is framed


def test_closed_sessions_leave_nothing_behind(served: Served) -> None:
    def visit() -> None:
        client = RawClient(served.address, join="/echo")
        client.call("/echo", "echo", {"a": 1})
        client.close()

    visit()
    wait_until(lambda: served.worker.connections == 0)
    before = descriptors()
    for _ in range(20):
        visit()
    wait_until(lambda: served.worker.connections == 0 and not served.engine.sockets)
    server = served.socketio.server
    wait_until(lambda: not server.environ and not server._peers and not server.manager.rooms)
    assert descriptors() == before
    gc.collect()
    assert not [thing for thing in gc.get_objects() if type(thing).__name__ in ("WebSocket", "EngineSocket", "Peer")]
