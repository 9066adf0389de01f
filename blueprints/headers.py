"""What every answer tells a browser: load nothing from elsewhere, be framed by nobody, guess no types."""

from __future__ import annotations

import flask

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types dompurify"
)
"""Of the page. `connect-src 'self'` covers its own WebSocket; the sanitiser alone may make HTML."""
DATA_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Of everything that is not the page: should a browser ever show it as one, it can do nothing."""

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def harden(response: flask.Response) -> flask.Response:
    """Add what is missing; a route that set a header keeps its own."""
    for name, value in _ALWAYS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Content-Security-Policy", DATA_POLICY)
    # Conversations and tokens are nobody's cache's business.
    response.headers.setdefault("Cache-Control", "no-store")
    return response
