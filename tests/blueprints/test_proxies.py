"""Behind a proxy: every client has an address of its own, and nobody can choose one."""

from __future__ import annotations

from typing import Any

import pytest
import socketio

from blueprints.proxies import behind_proxies
from config import ConfigError
from tests.servers import Stand


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.7", "203.0.113.7"),  # the client wrote the first
        ("10.0.0.1", "1.2.3.4, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("10.0.0.1", "2001:DB8::1", "2001:db8::1"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.7, 10.42.7.1", "203.0.113.7"),
        ("10.42.255.1", "203.0.113.7", "203.0.113.7"),
        ("10.43.0.1", "203.0.113.7", "10.43.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7, nonsense", "10.0.0.1"),
        ("203.0.113.9", "203.0.113.7", "203.0.113.9"),  # no proxy of ours
    ],
)
def test_the_address_is_the_last_a_proxy_saw(peer: str, forwarded: str, client: str) -> None:
    def told(environ: dict[str, Any], start_response: Any) -> Any:
        return environ["REMOTE_ADDR"]

    serve = behind_proxies(told, ("10.0.0.1", "10.0.0.2", "10.42.0.0/16"))
    assert serve({"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}, None) == client


def test_strangers_behind_a_proxy_are_different_guests(site_env: dict[str, str]) -> None:
    stand = Stand({**site_env, "TRUSTED_PROXIES": "127.0.0.1"})
    for client in ("203.0.113.7", "203.0.113.8", "203.0.113.7"):
        headers = {"X-Forwarded-For": client}
        stand.site.client().post("/chat", json={"message": "hi"}, headers=headers).close()
    first, second, third = (request.user for request in stand.provider.requests)
    assert first == third != second
    stand.site.close()


@pytest.mark.parametrize("written", ["proxy.example", "10.0.0.1/8"])
def test_what_is_no_address_is_refused(site_env: dict[str, str], written: str) -> None:
    """Nor a network: of `10.0.0.1/8` nobody could say what was meant."""
    with pytest.raises(ConfigError, match="TRUSTED_PROXIES"):
        Stand({**site_env, "TRUSTED_PROXIES": written})


@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize(("trusted", "counted"), [("127.0.0.1", "203.0.113.7"), ("10.0.0.1", "127.0.0.1")])
def test_a_socket_behind_a_proxy_counts_for_its_client(
    site_env: dict[str, str], trusted: str, counted: str, transport: str
) -> None:
    """Over WebSocket as over polling, limits are counted for the address that a proxy of ours saw."""
    stand = Stand({**site_env, "TRUSTED_PROXIES": trusted})
    seen: list[str] = []

    def wait_s(address: str) -> float:
        seen.append(address)
        return 0.0

    stand.services.doorkeeper._guest_wait_s = wait_s
    client = socketio.Client(reconnection=False)
    told = {"X-Forwarded-For": "1.2.3.4, 203.0.113.7"}
    client.connect(stand.site.open(), headers=told, namespaces=["/text"], transports=[transport])
    client.disconnect()
    assert seen == [counted]
    stand.site.close()
