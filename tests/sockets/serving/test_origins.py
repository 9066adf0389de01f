from __future__ import annotations

import pytest

from sockets.serving.origins import origin_allowed

LIST = ("https://chat.example", "http://other.example:8080/")


@pytest.mark.parametrize(
    ("origin", "host", "allowed", "bound", "expected"),
    [
        (None, "x", (), ("127.0.0.1", 5000), True),
        (None, "x", LIST, ("0.0.0.0", 5000), True),
        ("http://localhost:5000", "localhost:5000", (), ("127.0.0.1", 5000), True),
        ("http://127.0.0.1:5000", "localhost:5000", (), ("127.0.0.1", 5000), True),
        ("http://[::1]:5000", None, (), ("::1", 5000), True),
        ("http://LOCALHOST", None, (), ("localhost", 80), True),
        ("http://localhost:5001", "localhost:5001", (), ("127.0.0.1", 5000), False),
        ("https://localhost:5000", "localhost:5000", (), ("127.0.0.1", 5000), False),
        ("http://evil.example:5000", "evil.example:5000", (), ("127.0.0.1", 5000), False),
        ("http://evil.example", "localhost:5000", (), ("127.0.0.1", 5000), False),
        ("null", "localhost:5000", (), ("127.0.0.1", 5000), False),
        ("", "localhost:5000", (), ("127.0.0.1", 5000), False),
        ("file://", "localhost:5000", (), ("127.0.0.1", 5000), False),
        ("http://localhost:x", "localhost:5000", (), ("127.0.0.1", 5000), False),
        ("https://chat.example", "whatever", LIST, ("127.0.0.1", 5000), True),
        ("https://chat.example:443", "whatever", LIST, ("127.0.0.1", 5000), True),
        ("http://other.example:8080", "whatever", LIST, ("127.0.0.1", 5000), True),
        ("http://chat.example", "chat.example", LIST, ("127.0.0.1", 5000), False),
        ("https://chat.example.evil.example", "chat.example", LIST, ("127.0.0.1", 5000), False),
        ("http://localhost:5000", "localhost:5000", LIST, ("127.0.0.1", 5000), False),
        ("https://evil.example", "evil.example", ("*",), ("127.0.0.1", 5000), False),
        ("http://192.168.1.5:5000", "192.168.1.5:5000", (), ("192.168.1.5", 5000), True),
        ("http://192.168.1.5:5000", "192.168.1.5:5000", (), ("0.0.0.0", 5000), True),
        ("http://[fe80::1]:5000", "[fe80::1]:5000", (), ("::", 5000), True),
        ("http://localhost:5000", "localhost:5000", (), ("0.0.0.0", 5000), True),
        ("http://box.local:5000", "box.local:5000", (), ("0.0.0.0", 5000), False),
        ("http://box.local:5000", "box.local:5000", (), ("box.local", 5000), True),
        ("http://box.local:5000", "192.168.1.5:5000", (), ("box.local", 5000), False),
        ("http://192.168.1.6:5000", "192.168.1.5:5000", (), ("0.0.0.0", 5000), False),
    ],
)
def test_only_pages_of_this_server_or_of_the_list_are_let_in(
    origin: str | None, host: str | None, allowed: tuple[str, ...], bound: tuple[str, int], expected: bool
) -> None:
    assert origin_allowed(origin, host, allowed, *bound) is expected
