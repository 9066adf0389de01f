"""Opening one connection to a vendor: proxy, address, TCP and TLS within one limit."""

from __future__ import annotations

import base64
import functools
import ipaddress
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

import certifi
import gevent

import config
from services.errors import VendorOverloaded, VendorRefused, VendorTimeout

_LONGEST_PROXY_REPLY = 16_384

# What the owner of this server can do, in English and in Chinese.
_LATE = (
    "Its address did not answer in time: check the address in ..._BASE_URL, the network, the firewall and HTTPS_PROXY.",
    "其地址没有及时响应：请检查 …_BASE_URL 中的地址、网络、防火墙与 HTTPS_PROXY。",
)
_AWAY = (
    "Nothing answers at its address: check the address in ..._BASE_URL, the network, and HTTPS_PROXY if one is needed.",
    "其地址无法连接：请检查 …_BASE_URL 中的地址、网络，以及所需的 HTTPS_PROXY。",
)
_UNPROVEN = (
    "Its certificate is not valid: check the clock, the address in ..._BASE_URL, and whatever inspects TLS on the way.",
    "其证书无效：请检查系统时间、…_BASE_URL 中的地址，以及途中是否有检查 TLS 的设备。",
)
_NOT_LET_THROUGH = (
    "The proxy does not let this server through: check HTTP_PROXY and HTTPS_PROXY, with name and password.",
    "代理服务器不放行：请检查 HTTP_PROXY 与 HTTPS_PROXY，包括用户名和密码。",
)


@dataclass(frozen=True, slots=True)
class DialSettings:
    """How vendors are reached over HTTP; every vendor's settings begin with these."""

    connect_s: float = config.setting(5.0, "Seconds to connect to a vendor.", env="CONNECT_TIMEOUT_S", minimum=0.05)
    http_proxy: str = config.setting(
        "", "Proxy to vendors at http:// addresses: http://[user:password@]host:port.", env="HTTP_PROXY", secret=True
    )
    https_proxy: str = config.setting(
        "", "Proxy to vendors at https:// addresses: http://[user:password@]host:port.", env="HTTPS_PROXY", secret=True
    )
    no_proxy: str = config.setting(
        "", "Hosts reached without a proxy: names, .suffixes, addresses, networks, or * for all.", env="NO_PROXY"
    )


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a vendor's server is.

    Attributes:
        proxy: The proxy's URL, empty for none.
    """

    scheme: str
    host: str
    port: int
    proxy: str = ""

    @property
    def authority(self) -> str:
        """Host and port as the `Host` header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _default_port(self.scheme) else f"{host}:{self.port}"


def origin_of(url: SplitResult, settings: DialSettings) -> Origin:
    """The server a URL means, and the proxy on the way to it. Loopback addresses have none."""
    host = url.hostname or ""
    port = url.port or _default_port(url.scheme)
    proxy = settings.https_proxy if url.scheme == "https" else settings.http_proxy
    if proxy and (config.is_loopback(host) or _is_exempt(host, port, settings.no_proxy)):
        proxy = ""
    return Origin(url.scheme, host, port, proxy)


def check_proxies(settings: DialSettings) -> None:
    """Raise `config.ConfigError` when a proxy cannot be used."""
    if settings.no_proxy == "*":
        return
    for name, proxy in (("HTTP_PROXY", settings.http_proxy), ("HTTPS_PROXY", settings.https_proxy)):
        if proxy and not check_url(proxy, ("http",)):
            raise config.ConfigError(
                f"{name} must be http://[user:password@]host:port. With NO_PROXY=* it is not used at all."
            )


def check_url(url: str, schemes: tuple[str, ...] = ("http", "https")) -> bool:
    """Whether a URL has a scheme, a host and, if any, a port that is a number."""
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def dial(origin: Origin, limit_s: float, admits: Callable[[str], bool] | None = None) -> socket.socket:
    """A connected socket without a timeout of its own; TLS done, proxy passed.

    Args:
        admits: Asked about each address before it is connected to, so that no name can lead elsewhere in between.
            A proxy is the operator's own and not asked about.

    Raises:
        VendorTimeout: `limit_s` seconds were not enough.
        VendorRefused: The certificate is not the vendor's, or the proxy does not let us through.
        VendorOverloaded: The name is unknown, the connection refused or broken.
    """
    with gevent.Timeout(limit_s) as limit:
        try:
            return _dial(origin, limit_s, admits)
        except gevent.Timeout as fired:
            if fired is not limit:
                raise
            raise VendorTimeout("The model's provider could not be reached in time.", advice=_LATE) from fired
        except ssl.SSLCertVerificationError as error:
            raise VendorRefused("The model's provider could not prove who it is.", advice=_UNPROVEN) from error
        except TimeoutError as error:
            raise VendorTimeout("The model's provider could not be reached in time.", advice=_LATE) from error
        except (OSError, UnicodeError) as error:
            raise VendorOverloaded("The model's provider could not be reached.", advice=_AWAY) from error


def proxy_authorization(proxy: str) -> str:
    """The `Proxy-Authorization` a proxy's URL asks for; empty for none."""
    parts = urlsplit(proxy)
    if not parts.username:
        return ""
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(login.encode()).decode()


def _dial(origin: Origin, limit_s: float, admits: Callable[[str], bool] | None) -> socket.socket:
    if origin.proxy:
        proxy = urlsplit(origin.proxy)
        connection = _connect(proxy.hostname or "", proxy.port or 80, limit_s)
    else:
        connection = _connect(origin.host, origin.port, limit_s, admits)
    try:
        if origin.scheme == "https":
            if origin.proxy:
                _tunnel(connection, origin)
            connection = _tls().wrap_socket(connection, server_hostname=origin.host)
        connection.settimeout(None)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(
    host: str, port: int, limit_s: float, admits: Callable[[str], bool] | None = None
) -> socket.socket:
    """The first address that answers; a silent one may take half of the limit, so that another has its chance."""
    failure: OSError = OSError("the name has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        if admits is not None and not admits(str(address[0])):
            raise VendorRefused("The model's provider named an address that is not asked for anything.")
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(limit_s / 2)
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection.settimeout(limit_s)
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise failure


def _tunnel(connection: socket.socket, origin: Origin) -> None:
    """Ask the proxy for a way to the vendor (`CONNECT`)."""
    target = f"[{origin.host}]:{origin.port}" if ":" in origin.host else f"{origin.host}:{origin.port}"
    login = proxy_authorization(origin.proxy)
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", *([f"Proxy-Authorization: {login}"] if login else [])]
    connection.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
    reply = b""
    while b"\r\n\r\n" not in reply:
        piece = connection.recv(4096)  # nothing can follow the reply before we speak
        reply += piece
        if not piece or len(reply) > _LONGEST_PROXY_REPLY:
            raise OSError("the proxy broke off")
    status = reply.split(b" ", 2)[1:2]
    if status != [b"200"]:
        if status and status[0][:1] == b"5":
            raise OSError("the proxy cannot reach the vendor")
        raise VendorRefused("The proxy does not let this server through.", advice=_NOT_LET_THROUGH)


@functools.cache
def _tls() -> ssl.SSLContext:
    """One context for all: the system's roots and certifi's, for systems whose Python has none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _is_exempt(host: str, port: int, no_proxy: str) -> bool:
    host = host.lower().rstrip(".")
    rules = (part.strip().lower() for part in no_proxy.split(","))
    return any(rule == "*" or _same_network(host, rule) or _same_name(host, port, rule) for rule in rules if rule)


def _same_name(host: str, port: int, rule: str) -> bool:
    """Whether a rule means a host: `name`, `.suffix`, `*.suffix`, any of them with `:port`."""
    name, colon, digits = rule.rpartition(":")
    if not (colon and digits.isdigit()):
        name, digits = rule, ""
    name = name.removeprefix("*").lstrip(".")
    return (host == name or host.endswith("." + name)) and digits in ("", str(port))


def _same_network(host: str, rule: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(rule, strict=False)
    except ValueError:
        return False
