"""Calls over HTTP: bodies as they come, hang-ups at once, connections used again."""

from __future__ import annotations

import socket
import ssl

import gevent
import pytest
from gevent.event import Event

from services.errors import VendorOverloaded, VendorRefused, VendorTimeout
from services.wire import connection, dial, http_client
from services.wire.dial import DialSettings
from services.wire.http_client import HttpClient, Response
from tests.clocks import FakeClock
from tests.services.wire.servers import closed_port, read_request, server_side, serving

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def get(client: HttpClient, port: int, path: str = "/") -> Response:
    return client.request("GET", f"http://127.0.0.1:{port}{path}", headers={})


def body_of(response: Response) -> bytes:
    with response:
        return b"".join(iter(response.read, b""))


@pytest.fixture
def client() -> HttpClient:
    return HttpClient(DialSettings())


def test_a_request_says_what_it_should(client: HttpClient) -> None:
    """Nobody is asked to compress; the query stays; line ends in a header are refused."""
    seen: list[bytes] = []

    def handler(sock: socket.socket) -> None:
        seen.append(read_request(sock))
        sock.sendall(OK)

    with serving(handler) as port:
        url = f"http://127.0.0.1:{port}/v1/x?y=1"
        assert body_of(client.request("POST", url, headers={"Authorization": "Bearer k"}, body=b"{}")) == b"ok"
        with pytest.raises(ValueError, match="line end"):
            client.request("POST", url, headers={"Authorization": "Bearer k\r\nX: y"})
    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert (lines[0], body) == ("POST /v1/x?y=1 HTTP/1.1", b"{}")
    expected = {f"Host: 127.0.0.1:{port}", "Accept-Encoding: identity", "Authorization: Bearer k", "Content-Length: 2"}
    assert expected <= set(lines)


@pytest.mark.parametrize(
    ("head", "parts", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", [b"3\r\nabc\r\n", b"1\r\nd\r\n0\r\n\r\n"], b"abcd"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4", [b"ab", b"cd"], b"abcd"),
        (b"HTTP/1.1 200 OK\r\nConnection: close", [b"ab", b"cd"], b"abcd"),
        (b"HTTP/1.0 200 OK", [b"abcd"], b"abcd"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1", [b"a"], b"a"),
        (b"HTTP/1.1 204 No Content", [], b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0", [], b""),
    ],
)
def test_each_framing_gives_the_body_as_it_arrives(
    client: HttpClient, head: bytes, parts: list[bytes], body: bytes
) -> None:
    """Every part is given before the next one is sent."""
    taken = [Event() for _ in parts]

    def handler(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(head + b"\r\n\r\n")
        for part, event in zip(parts, taken, strict=True):
            sock.sendall(part)
            assert event.wait(5)

    with serving(handler) as port, get(client, port) as response:
        received = b""
        for event in taken:
            received += response.read()
            event.set()
        assert received == body
        assert response.read() == b""
        assert response.is_complete


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n",
        b"HTTP/1.1 \xb2\xb2\xb2 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
    ],
)
def test_an_answer_that_breaks_off_or_cannot_be_read_is_told(client: HttpClient, answer: bytes) -> None:
    """Whatever is wrong, it is one error of ours, and no connection is kept."""

    def handler(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(answer)

    with serving(handler) as port, pytest.raises(VendorOverloaded):
        body_of(get(client, port))
    assert not any(client._idle.values())


def test_a_compressed_answer_is_refused(client: HttpClient) -> None:
    """It was not asked for; a bomb is never unpacked."""

    def handler(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b")

    with serving(handler) as port, pytest.raises(VendorRefused):
        get(client, port)


def test_a_body_without_end_is_cut(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit counts what came over the wire."""
    monkeypatch.setattr(http_client, "MAX_BODY_BYTES", 1_000_000)
    closed = Event()

    def flood(sock: socket.socket) -> None:
        read_request(sock)
        try:
            sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                sock.sendall(b"x" * 65_536)
        except OSError:
            closed.set()

    with serving(flood) as port:
        with pytest.raises(VendorOverloaded):
            body_of(get(client, port))
        assert closed.wait(5)


def test_a_connection_is_used_again_after_a_whole_answer(client: HttpClient) -> None:
    """For any framing that has an end; never after one that was left early."""
    connections = 0

    def handler(sock: socket.socket) -> None:
        nonlocal connections
        connections += 1
        while request := read_request(sock):
            if b"/chunked" in request:
                sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
            else:
                sock.sendall(OK)

    with serving(handler) as port:
        for path in ("/", "/chunked", "/"):
            assert body_of(get(client, port, path)) == b"ok"
        assert connections == 1
        with get(client, port):
            pass
        assert body_of(get(client, port)) == b"ok"
        assert connections == 2
        client.close()


def test_concurrent_calls_have_a_connection_each_and_few_are_kept(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool bounds what lies idle, not what runs."""
    monkeypatch.setattr(http_client, "IDLE_PER_ORIGIN", 2)
    go = Event()
    waiting = 0
    all_here = Event()

    def handler(sock: socket.socket) -> None:
        nonlocal waiting
        while read_request(sock):
            waiting += 1
            if waiting == 5:
                all_here.set()
            assert go.wait(5)
            sock.sendall(OK)

    with serving(handler) as port:
        calls = [gevent.spawn(lambda: body_of(get(client, port))) for _ in range(5)]
        assert all_here.wait(5)
        go.set()
        assert [call.get(timeout=5) for call in calls] == [b"ok"] * 5
        assert sum(map(len, client._idle.values())) == 2
        client.close()


def test_a_connection_that_died_idle_is_replaced_once(client: HttpClient) -> None:
    """Seen before the request is sent where it can be, else by the missing answer; the request is served once."""
    served: list[bytes] = []
    first_ended = Event()
    drop_next = False

    def handler(sock: socket.socket) -> None:
        served.append(read_request(sock))
        sock.sendall(OK)
        if drop_next:
            read_request(sock)  # taken, and left without an answer
        first_ended.set()

    with serving(handler) as port:
        assert body_of(get(client, port, "/1")) == b"ok"
        assert first_ended.wait(5)
        drop_next = True
        assert body_of(get(client, port, "/2")) == b"ok"
        drop_next = False
        assert body_of(get(client, port, "/3")) == b"ok"
        client.close()
    assert [request.split(b" ")[1] for request in served] == [b"/1", b"/2", b"/3"]


def test_a_fresh_connection_that_gives_no_answer_is_not_replaced(client: HttpClient) -> None:
    """Whether to ask again is decided in one place, and not here."""
    connections = 0

    def handler(sock: socket.socket) -> None:
        nonlocal connections
        connections += 1
        read_request(sock)

    with serving(handler) as port, pytest.raises(VendorOverloaded):
        get(client, port)
    assert connections == 1


def test_old_idle_connections_are_not_used(client: HttpClient) -> None:
    """A server may have forgotten them silently."""
    clock = FakeClock()
    client = HttpClient(DialSettings(), clock)
    connections = 0

    def handler(sock: socket.socket) -> None:
        nonlocal connections
        connections += 1
        while read_request(sock):
            sock.sendall(OK)

    with serving(handler) as port:
        body_of(get(client, port))
        clock.advance(http_client.IDLE_S + 1)
        body_of(get(client, port))
        client.close()
    assert connections == 2


def test_leaving_in_the_middle_hangs_up_at_once(client: HttpClient) -> None:
    """The server sees the end of the connection, however the call was left."""
    hung_up = Event()

    def handler(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        assert sock.recv(1) == b""
        hung_up.set()

    with serving(handler) as port:
        with get(client, port) as response:
            assert response.read() == b"a"
        assert hung_up.wait(1)

        hung_up.clear()
        reading = Event()

        def read_on() -> None:
            with get(client, port) as response:
                response.read()
                reading.set()
                response.read()

        greenlet = gevent.spawn(read_on)
        assert reading.wait(5)
        greenlet.kill(ValueError, block=False)
        assert hung_up.wait(1)
        with pytest.raises(ValueError):
            greenlet.get(timeout=5)


def test_over_tls_it_is_all_the_same(
    client: HttpClient, certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces as they come, a connection used again, a hang-up that is seen, a flood that lets others run."""
    monkeypatch.setattr(dial, "_tls", lambda: ssl.create_default_context(cafile=certificate[0]))
    taken = Event()
    hung_up = Event()
    connections = 0

    def handler(sock: socket.socket) -> None:
        nonlocal connections
        connections += 1
        try:
            while request := read_request(sock):
                sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
                assert taken.wait(5)
                while b"/flood" in request:
                    sock.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
                sock.sendall(b"1\r\nb\r\n0\r\n\r\n")
        except OSError:
            hung_up.set()

    with serving(handler, ssl_context=server_side(certificate)) as port:
        url = f"https://127.0.0.1:{port}/"
        for _ in range(2):
            taken.clear()
            with client.request("GET", url, headers={}) as response:
                assert response.read() == b"a"
                taken.set()
                assert body_of(response) == b"b"
        assert connections == 1
        others = 0

        def count() -> None:
            nonlocal others
            while True:
                gevent.sleep(0)
                others += 1

        counting = gevent.spawn(count)
        with client.request("GET", url + "flood", headers={}) as response:
            for _ in range(200):
                assert response.read()
        counting.kill()
        assert others > 0
        assert hung_up.wait(5)


def test_silence_has_an_end_of_its_own(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even without anybody's limit a call does not last for ever."""
    monkeypatch.setattr(connection, "SILENCE_S", 0.02)

    def handler(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        sock.recv(1)

    with serving(handler) as port, get(client, port) as response:
        assert response.read() == b"a"
        with pytest.raises(VendorTimeout):
            response.read()


def test_an_early_refusal_of_a_large_request_is_read(client: HttpClient) -> None:
    """A server may answer before it has taken all."""

    def handler(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65_536):
            pass

    with serving(handler) as port:
        response = client.request("POST", f"http://127.0.0.1:{port}/", headers={}, body=b"x" * 4_000_000)
        with response:
            assert response.status == 413


def test_a_plain_proxy_is_given_the_whole_address() -> None:
    """With its password, and only where it is meant to be used."""
    seen: list[bytes] = []

    def proxy(sock: socket.socket) -> None:
        seen.append(read_request(sock))
        sock.sendall(OK)

    with serving(proxy) as port, closed_port():
        client = HttpClient(DialSettings(http_proxy=f"http://u:p@127.0.0.1:{port}"))
        assert body_of(client.request("GET", "http://model.example:8000/v1/models", headers={})) == b"ok"
        client.close()
    lines = seen[0].decode().split("\r\n")
    assert lines[0] == "GET http://model.example:8000/v1/models HTTP/1.1"
    assert "Proxy-Authorization: Basic dTpw" in lines
    assert "Host: model.example:8000" in lines
