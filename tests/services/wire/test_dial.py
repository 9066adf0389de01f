"""Reaching a vendor: limits, proxies, certificates."""

from __future__ import annotations

import base64
import socket
import ssl
from urllib.parse import urlsplit

import gevent
import pytest
from gevent.event import Event

import config
from services.errors import VendorOverloaded, VendorRefused, VendorTimeout
from services.wire import dial as dialling
from services.wire.dial import DialSettings, Origin, check_proxies, dial, origin_of
from tests.services.wire.servers import closed_port, server_side, serving


def origin(port: int, *, scheme: str = "http", proxy: str = "") -> Origin:
    return Origin(scheme, "127.0.0.1", port, proxy)


def test_a_refused_connection_is_told_at_once() -> None:
    """Asking again is safe."""
    with closed_port() as port, pytest.raises(VendorOverloaded):
        dial(origin(port), 5)


def test_an_unknown_name_is_told() -> None:
    """So is one that cannot be a name."""
    for name in ("nobody.invalid", "a" * 70 + ".invalid", ".."):
        with pytest.raises((VendorOverloaded, VendorTimeout)):
            dial(Origin("http", name, 80), 5)


def test_a_silent_address_costs_no_more_than_the_limit() -> None:
    """A server that lets nobody finish connecting, TLS included."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [gevent.spawn(_hold, full.getsockname()[1]) for _ in range(4)]
        gevent.sleep(0)
        with pytest.raises(VendorTimeout):
            dial(origin(full.getsockname()[1], scheme="https"), 0.2)
        gevent.killall(fillers)


def _hold(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)):
        Event().wait(10)


def test_an_interrupt_while_connecting_is_not_swallowed() -> None:
    """Another greenlet may end the wait with an error of its own."""

    class StopError(Exception):
        pass

    entered = Event()

    def silent(sock: socket.socket) -> None:
        entered.set()
        Event().wait(10)

    with serving(silent) as port:
        greenlet = gevent.spawn(dial, origin(port, scheme="https"), 5)
        assert entered.wait(5)
        greenlet.kill(StopError, block=False)
        with pytest.raises(StopError):
            greenlet.get(timeout=5)


# Proxies


@pytest.mark.parametrize(
    ("url", "no_proxy", "proxied"),
    [
        ("https://api.example.com/v1", "", True),
        ("http://api.example.com/v1", "", False),
        ("https://127.0.0.1/v1", "", False),
        ("https://localhost:8000/v1", "", False),
        ("https://api.example.com/v1", "*", False),
        ("https://api.example.com/v1", "example.org, example.com", False),
        ("https://api.example.com/v1", ".example.com", False),
        ("https://badexample.com/v1", ".example.com", True),
        ("https://api.example.com:8443/v1", "example.com:443", True),
        ("https://api.example.com/v1", "example.com:443", False),
        ("https://10.1.2.3/v1", "10.0.0.0/8", False),
        ("https://11.1.2.3/v1", "10.0.0.0/8", True),
        ("https://[fd00::1]/v1", "fd00::/8", False),
    ],
)
def test_a_proxy_is_used_unless_the_host_is_exempt(url: str, no_proxy: str, proxied: bool) -> None:
    """`NO_PROXY` knows names, suffixes, ports, networks and the star; loopback is always reached directly."""
    settings = DialSettings(https_proxy="http://proxy:3128", no_proxy=no_proxy)
    assert bool(origin_of(urlsplit(url), settings).proxy) is proxied


@pytest.mark.parametrize("proxy", ["socks5://host:1", "proxy:3128", "http://", "http://host:port"])
def test_a_proxy_that_cannot_be_used_is_refused_by_name(proxy: str) -> None:
    """Before the port opens."""
    with pytest.raises(config.ConfigError, match=r"^HTTPS_PROXY"):
        check_proxies(DialSettings(https_proxy=proxy))


def test_a_proxys_refusal_is_told() -> None:
    """A wrong password will not get better; a proxy that cannot reach the vendor may."""
    seen: list[bytes] = []
    replies = [b"HTTP/1.1 407 Who are you\r\n\r\n", b"HTTP/1.1 502 Bad Gateway\r\n\r\n", b""]

    def proxy(sock: socket.socket) -> None:
        seen.append(sock.recv(4096))
        sock.sendall(replies.pop(0))

    with serving(proxy) as port:
        way = Origin("https", "api.example.com", 443, f"http://us%40er:pass@127.0.0.1:{port}")
        with pytest.raises(VendorRefused):
            dial(way, 5)
        for _ in range(2):
            with pytest.raises(VendorOverloaded):
                dial(way, 5)
    login = base64.b64encode(b"us@er:pass").decode()
    first, host, authorization, *_ = seen[0].decode().split("\r\n")
    assert (first, host) == ("CONNECT api.example.com:443 HTTP/1.1", "Host: api.example.com:443")
    assert authorization == f"Proxy-Authorization: Basic {login}"


# TLS


def test_a_certificate_that_is_not_the_vendors_is_refused(certificate: tuple[str, str]) -> None:
    """Asking again would not help, and the key was not sent."""
    received: list[bytes] = []

    def handler(sock: socket.socket) -> None:
        received.append(sock.recv(4096))

    with serving(handler, ssl_context=server_side(certificate)) as port, pytest.raises(VendorRefused):
        dial(origin(port, scheme="https"), 5)
    assert b"".join(received) == b""


def test_a_trusted_certificate_is_talked_to(
    certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes go both ways, through a proxy's tunnel too."""
    monkeypatch.setattr(dialling, "_tls", lambda: ssl.create_default_context(cafile=certificate[0]))

    def echo(sock: socket.socket) -> None:
        sock.sendall(sock.recv(100))

    with serving(echo, ssl_context=server_side(certificate)) as port:

        def proxy(sock: socket.socket) -> None:
            assert sock.recv(4096).startswith(f"CONNECT 127.0.0.1:{port} ".encode())
            sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with socket.create_connection(("127.0.0.1", port)) as server:
                up = gevent.spawn(_copy, sock, server)
                _copy(server, sock)
                up.kill()

        with serving(proxy) as proxy_port:
            for way in ("", f"http://127.0.0.1:{proxy_port}"):
                with dial(origin(port, scheme="https", proxy=way), 5) as connection:
                    connection.sendall(b"ping")
                    assert connection.recv(100) == b"ping"


def _copy(source: socket.socket, target: socket.socket) -> None:
    while data := source.recv(65_536):
        target.sendall(data)


def test_plain_bytes_where_tls_is_due_are_told() -> None:
    """As any other broken connection."""
    with serving(lambda sock: sock.sendall(b"HTTP/1.1 400 no\r\n\r\n")) as port, pytest.raises(VendorOverloaded):
        dial(origin(port, scheme="https"), 5)
