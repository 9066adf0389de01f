"""Whose request it is behind a proxy: the address that a proxy of ours saw, never one that a client made up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from config import ConfigError

Application = Callable[..., Any]
_Address = IPv4Address | IPv6Address


def behind_proxies(application: Application, trusted: Iterable[str]) -> Application:
    """`application` with `REMOTE_ADDR` of the client, where the peer is a proxy of `trusted`.

    Of `X-Forwarded-For` the last address counts that is not a proxy's: what stands before it is the client's word.

    Raises:
        ConfigError: One of `trusted` is neither an address nor a network.
    """
    networks = [_network(entry) for entry in trusted]

    def is_proxy(address: _Address | None) -> bool:
        return address is not None and any(address in network for network in networks)

    def serve(environ: dict[str, Any], start_response: Any) -> Any:
        if is_proxy(_address(environ.get("REMOTE_ADDR", ""))):
            seen = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
            for address in map(_address, reversed(seen)):
                if address is None:
                    break
                environ["REMOTE_ADDR"] = str(address)
                if not is_proxy(address):
                    break
        return application(environ, start_response)

    return serve if networks else application


def _network(written: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(written.strip())
    except ValueError:
        raise ConfigError(
            "TRUSTED_PROXIES must list IP addresses or networks, such as 127.0.0.1,10.42.0.0/16.",
            "TRUSTED_PROXIES 应为以逗号分隔的 IP 地址或网段，如 127.0.0.1,10.42.0.0/16。",
        ) from None


def _address(written: str) -> _Address | None:
    """An address in its one form; None for what is none."""
    try:
        address = ip_address(written.strip())
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
