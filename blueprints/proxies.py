"""Whose request it is behind a proxy: the address that a proxy of ours saw, never one that a client made up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any

from config import ConfigError

Application = Callable[..., Any]


def behind_proxies(application: Application, trusted: Iterable[str]) -> Application:
    """`application` with `REMOTE_ADDR` of the client, where the peer is a proxy of `trusted`.

    Of `X-Forwarded-For` the last address counts that is not a proxy's: what stands before it is the client's word.

    Raises:
        ConfigError: One of `trusted` is no address.
    """
    proxies = {_plain(address) for address in trusted}
    if None in proxies:
        raise ConfigError(
            "TRUSTED_PROXIES must list IP addresses, such as 127.0.0.1,10.0.0.2.",
            "TRUSTED_PROXIES 应为以逗号分隔的 IP 地址，如 127.0.0.1,10.0.0.2。",
        )

    def serve(environ: dict[str, Any], start_response: Any) -> Any:
        if _plain(environ.get("REMOTE_ADDR", "")) in proxies:
            seen = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
            for address in map(_plain, reversed(seen)):
                if address is None:
                    break
                environ["REMOTE_ADDR"] = address
                if address not in proxies:
                    break
        return application(environ, start_response)

    return serve if proxies else application


def _plain(written: str) -> str | None:
    """An address in its one form; None for what is none."""
    try:
        address = ip_address(written.strip())
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
