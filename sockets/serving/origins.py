"""Which web pages may talk to this server with a visitor's cookies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_ANY_ADDRESS = ("", "0.0.0.0", "::")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_allowed(
    origin: str | None, host_header: str | None, allowed: Iterable[str], bound_host: str, bound_port: int
) -> bool:
    """Whether a page of this `Origin` may use its visitors' cookies here. Pure.

    Apps send no `Origin` and are always let in: the rule protects visitors of web pages, whose browsers do send it.
    With `allowed` given, it alone decides; `*` in it counts for nothing here. Otherwise the page must come from
    the address this server was bound to: the loopback names for a loopback address; for any other one the `Host` it
    was asked under, provided that is the bound name or, where every address was bound, a bare IP address. A foreign
    name in `Host` never counts, or a page could point its own name at this machine and be let in (DNS rebinding).
    """
    if origin is None:
        return True
    asked = _normal(origin)
    if asked is None:
        return False
    configured = {_normal(entry) for entry in allowed if entry != "*"}
    if configured:
        return asked in configured
    if asked in {_normal(f"http://{name}:{bound_port}") for name in _LOOPBACK} and (
        _is_loopback(bound_host) or bound_host in _ANY_ADDRESS
    ):
        return True
    scheme, host, _ = asked
    here = _normal(f"{scheme}://{host_header}")
    if _is_loopback(bound_host) or here != asked:
        return False
    return host == bound_host.lower().strip("[]") or (bound_host in _ANY_ADDRESS and _is_address(host))


@dataclass(slots=True)
class OriginPolicy:
    """`origin_allowed` with this server's settings; the worker fills in the port it was given when that was 0.

    `*` among `allowed` lets every page connect with a token of its own; cookies still count from trusted ones only.
    """

    allowed: tuple[str, ...]
    host: str
    port: int

    def allows(self, origin: str | None, host_header: str | None) -> bool:
        """Whether a page of this origin may connect at all."""
        return "*" in self.allowed or self.trusts(origin, host_header)

    def trusts(self, origin: str | None, host_header: str | None) -> bool:
        """Whether its visitors' cookies count."""
        return origin_allowed(origin, host_header, self.allowed, self.host, self.port)


def _normal(origin: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(origin.strip().lower().rstrip("/"))
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    if not parts.hostname or port is None or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    bare = host.strip("[]")
    return bare == "localhost" or (_is_address(bare) and ip_address(bare).is_loopback)
