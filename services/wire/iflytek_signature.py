"""iFlytek's signed addresses: a URL that says who asks and when, and how far two clocks are apart."""

from __future__ import annotations

import base64
import hashlib
import hmac
from email.utils import formatdate, parsedate_to_datetime
from urllib.parse import quote, urlsplit

from services.clock import Clock

MAX_SKEW_S = 300.0  # the vendor accepts no greater difference, either way


def signed_url(url: str, *, api_key: str, api_secret: str, clock: Clock, method: str = "GET") -> str:
    """`url` with `authorization`, `date` and `host` in its query; good for five minutes, so made for each call.

    Holds the API key: never to be logged.
    """
    parts = urlsplit(url)
    host = _host(parts.hostname or "", parts.port, parts.scheme)
    date = formatdate(clock.now_ms() / 1000, usegmt=True)
    signature = sign(api_secret, host=host, date=date, request_line=f"{method} {parts.path or '/'} HTTP/1.1")
    origin = f'api_key="{api_key}", algorithm="hmac-sha256", headers="host date request-line", signature="{signature}"'
    query = {"authorization": base64.b64encode(origin.encode()).decode(), "date": date, "host": host}
    return f"{url}?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())


def sign(api_secret: str, *, host: str, date: str, request_line: str) -> str:
    """The signature of one request, in base64. Source: docs/providers/spark.md."""
    text = f"host: {host}\ndate: {date}\n{request_line}"
    return base64.b64encode(hmac.digest(api_secret.encode(), text.encode(), hashlib.sha256)).decode()


def skew_s(date: str, clock: Clock) -> float | None:
    """By how many seconds our clock is ahead of a server's `Date` header; None when that cannot be read."""
    try:
        return clock.now_ms() / 1000 - parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _host(name: str, port: int | None, scheme: str) -> str:
    """What the `Host` header has: the port only where it is not the scheme's own."""
    name = f"[{name}]" if ":" in name else name
    default = 443 if scheme in ("wss", "https") else 80
    return name if port in (None, default) else f"{name}:{port}"
