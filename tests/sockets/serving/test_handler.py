"""What a hand-made HTTP peer can do to a running worker."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sockets.serving.conftest import Served, wait_until
from tests.sockets.serving.raw_client import TEXT, Closed, RawClient, Wire, ask, handshake, masked, read_response

SOCKET = "/socket.io/?EIO=4&transport=websocket"
HELLO = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(handshake(SOCKET, Sec_WebSocket_Key="c2hvcnQ="), 400, id="short key"),
        pytest.param(handshake(SOCKET, Sec_WebSocket_Key="no base64!"), 400, id="bad key"),
        pytest.param(handshake(SOCKET, Sec_WebSocket_Key=None), 400, id="no key"),
        pytest.param(handshake(SOCKET, Sec_WebSocket_Version=None), 426, id="no version"),
        pytest.param(handshake(SOCKET, Sec_WebSocket_Version="8"), 426, id="old version"),
        pytest.param(handshake(SOCKET, version="HTTP/1.0"), 400, id="HTTP/1.0"),
        pytest.param(handshake(SOCKET, method="POST", Content_Length="0"), 400, id="POST"),
        pytest.param(handshake(SOCKET, Connection="keep-alive"), 400, id="no Connection: Upgrade"),
        pytest.param(handshake(SOCKET, Upgrade=None), 400, id="no upgrade at all"),
        pytest.param(handshake("/hello"), 404, id="upgrade elsewhere"),
        pytest.param(handshake("/socket.iox/?EIO=4&transport=websocket"), 404, id="upgrade next door"),
        pytest.param(handshake(SOCKET, Origin="http://evil.example"), 403, id="foreign origin"),
        pytest.param(handshake(SOCKET, Origin="null"), 403, id="sandboxed page"),
        pytest.param(handshake(SOCKET, Origin="http://evil.example", Host="evil.example"), 403, id="rebound name"),
        pytest.param(handshake("/socket.io/?EIO=3&transport=websocket"), 400, id="EIO 3"),
        pytest.param(handshake("/socket.io/?EIO=4&transport=websocket&sid=unknown"), 400, id="unknown session"),
        pytest.param(handshake("/socket.io/?EIO=4&transport=polling"), 400, id="polling by upgrade"),
        pytest.param(
            b"GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\n", 400, id="two lengths"
        ),
        pytest.param(b"GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\n", 400, id="list of lengths"),
        pytest.param(b"GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\n", 400, id="negative length"),
        pytest.param(
            b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400, id="both"
        ),
        pytest.param(b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400, id="other coding"),
        pytest.param(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", 413, id="huge body"),
        pytest.param(b"GET /hello HTTP/1.1\r\nHost: x\r\nA: b\r\n folded\r\n\r\n", 400, id="folded line"),
        pytest.param(b"GET /hello HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", 400, id="space before the colon"),
        pytest.param(b"GET /hello HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n", 400, id="NUL"),
        pytest.param(b"GET /hello HTTP/1.1\r\n\r\n", 400, id="no host"),
        pytest.param(b"GET /hello HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, id="two hosts"),
        pytest.param(b"GET /hello HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 10_000 + b"\r\n", 431, id="10 000 headers"),
        pytest.param(b"GET /hello HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 1_000_000 + b"\r\n\r\n", 431, id="1 MB header"),
        pytest.param(b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n\r\n", 414, id="long path"),
        pytest.param(b"GET /hello\r\n\r\n", 400, id="HTTP/0.9"),
        pytest.param(b"GET /hello HTTP/2.0\r\n\r\n", 505, id="HTTP/2"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", 400, id="TLS on a plain port"),
    ],
)
def test_bad_requests_are_refused_and_the_connection_closed(
    served: Served, request_bytes: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    wire = Wire(served.address)
    response = ask(wire, request_bytes)
    assert response.status == status
    if b"/hello" in request_bytes or status == 426:
        wire.wait_for_end()
    wire.close()
    wait_until(lambda: served.worker.connections == 0)
    assert not [record for record in caplog.records if record.exc_info]
    assert not served.engine.sockets


def test_requests_follow_each_other_on_one_connection(served: Served) -> None:
    wire = Wire(served.address)
    for _ in range(2):
        assert ask(wire, HELLO).body == b"hello"
    assert ask(wire, b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello").body == b"5"
    chunked = b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    assert ask(wire, chunked).body == b"5"
    assert ask(wire, HELLO + HELLO).body == b"hello"
    assert read_response(wire).body == b"hello"


def test_a_body_nobody_reads_is_not_taken_for_the_next_request(served: Served) -> None:
    wire = Wire(served.address)
    assert ask(wire, b"POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 41\r\n\r\n" + HELLO).status == 405
    with pytest.raises(Closed):
        wire.take(1)


def test_headers_that_never_end_are_cut(serve: Callable[..., Served]) -> None:
    """However they trickle: the clock starts with the connection, not with each byte."""
    served = serve(header_s=0.2)
    silent = Wire(served.address)
    slow = Wire(served.address)
    slow.send(b"GET /hello HTTP/1.1\r\nA: b")
    silent.wait_for_end()
    assert read_response(slow).status == 408
    slow.wait_for_end()
    wait_until(lambda: served.worker.connections == 0)


def test_a_kept_connection_without_a_next_request_is_cut(serve: Callable[..., Served]) -> None:
    served = serve(idle_s=0.05)
    wire = Wire(served.address)
    assert ask(wire, HELLO).status == 200
    wire.wait_for_end()


@pytest.mark.parametrize("path", ["/body", "/socket.io/?EIO=4&transport=polling&sid="])
def test_a_body_that_never_comes_is_answered_408(serve: Callable[..., Served], path: str) -> None:
    served = serve(body_s=0.1)
    wire = Wire(served.address)
    if path != "/body":
        opening = ask(wire, b"GET " + path[:-5].encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        path += opening.body.decode().split('"')[3]
    response = ask(wire, f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc".encode())
    assert response.status == 408
    wire.wait_for_end()


def test_a_body_in_endless_chunks_is_answered_413(serve: Callable[..., Served]) -> None:
    served = serve(max_body_bytes=100_000)
    wire = Wire(served.address)
    chunk = b"2710\r\n" + b"x" * 10_000 + b"\r\n"
    wire.send(b"POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 11)
    assert read_response(wire).status == 413
    wire.wait_for_end()


def test_connections_beyond_the_cap_are_told_so_and_room_is_made_when_others_leave(
    serve: Callable[..., Served],
) -> None:
    served = serve(max_connections=2)
    web = RawClient(served.address, join="/echo")
    http = Wire(served.address)
    assert ask(http, HELLO).status == 200
    assert ask(Wire(served.address), HELLO).status == 503
    web.close()
    wait_until(lambda: served.worker.connections == 1)
    assert ask(Wire(served.address), HELLO).status == 200


def test_a_client_that_leaves_during_the_handshake_costs_nothing(served: Served) -> None:
    for _ in range(20):
        wire = Wire(served.address)
        wire.send(handshake(SOCKET) + masked(TEXT, b"40/echo,"))
        wire.reset()
    wait_until(lambda: served.worker.connections == 0 and not served.engine.sockets)
    wait_until(lambda: not served.socketio.server.environ)


@pytest.mark.parametrize("origin", ["http://localhost:{}", "http://127.0.0.1:{}", "http://[::1]:{}"])
def test_the_page_served_here_may_connect(served: Served, origin: str) -> None:
    wire = Wire(served.address)
    assert ask(wire, handshake(SOCKET, Origin=origin.format(served.address[1]))).status == 101
