"""Fetching a file that a vendor names: from public addresses over TLS, within limits, wherever its URL leads."""

from __future__ import annotations

import ipaddress
from urllib.parse import urljoin, urlsplit

import gevent

from services.errors import VendorOverloaded, VendorRefused, VendorTimeout
from services.wire.dial import DialSettings, check_url
from services.wire.http_client import HttpClient, Response

MAX_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_ELSEWHERE = "The model's provider named an address that is not asked for anything."


class Fetcher:
    """Gets files by URL. Any number of greenlets may ask at once."""

    def __init__(self, settings: DialSettings, *, home: str) -> None:
        """`home` is the vendor's own address as the operator set it: its server may be asked wherever it stands."""
        self._home = _server(home)
        self._near = HttpClient(settings)
        self._far = HttpClient(settings, admits=is_public)

    def get(self, url: str, *, max_bytes: int, limit_s: float) -> bytes:
        """The file.

        Raises:
            VendorRefused: It is at no public address, or not reached by TLS, or too large, or too many redirects.
            VendorTimeout: Not whole within `limit_s`.
            VendorOverloaded: It could not be had; another try may help.
        """
        with gevent.Timeout(limit_s) as limit:
            try:
                return self._follow(url, max_bytes)
            except gevent.Timeout as fired:
                if fired is not limit:
                    raise
                raise VendorTimeout("What the model made could not be fetched in time.") from fired

    def close(self) -> None:
        """Let idle connections go."""
        self._near.close()
        self._far.close()

    def _follow(self, url: str, max_bytes: int) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            with self._client(url).request("GET", url, headers={"Accept": "image/*"}) as response:
                if response.status in _REDIRECTS:
                    url = urljoin(url, response.headers.get("location", ""))
                    continue
                if response.status != 200:
                    raise VendorOverloaded("What the model made could not be fetched.")
                return _whole(response, max_bytes)
        raise VendorRefused(_ELSEWHERE)

    def _client(self, url: str) -> HttpClient:
        """Who may ask for it.

        Raises:
            VendorRefused: Nobody.
        """
        if not check_url(url):
            raise VendorRefused(_ELSEWHERE)
        if _server(url) == self._home:
            return self._near
        parts = urlsplit(url)
        try:
            public = is_public(parts.hostname or "")
        except ValueError:
            public = True  # a name: each of its addresses is looked at when it is connected to
        if parts.scheme != "https" or not public:
            raise VendorRefused(_ELSEWHERE)
        return self._far


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet: not this machine, not its network, not a cloud's own.

    Raises:
        ValueError: It is a name.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            ip = inner
    return ip.is_global and not ip.is_multicast


def _whole(response: Response, max_bytes: int) -> bytes:
    announced = response.headers.get("content-length", "0")
    parts: list[bytes] = []
    size = int(announced) if announced.isdigit() else 0
    if size <= max_bytes:
        size = 0
        while data := response.read():
            parts.append(data)
            size += len(data)
            if size > max_bytes:
                break
    if size > max_bytes:
        raise VendorRefused("What the model made is larger than this server accepts.")
    return b"".join(parts)


def _server(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port
