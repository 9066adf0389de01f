"""Pages of other origins: those that are listed may call, with cookies; `*` lets the rest call with a token."""

from __future__ import annotations

import pytest
import requests

from tests.servers import running_server

LISTED = "https://app.example"
OTHER = "https://other.example"


@pytest.mark.parametrize(
    ("setting", "origin", "allowed", "trusted"),
    [
        ("", OTHER, False, False),
        (LISTED, LISTED, True, True),
        (LISTED, OTHER, False, False),
        ("*", OTHER, True, False),
        (f"*,{LISTED}", LISTED, True, True),
    ],
)
def test_a_preflight_tells_what_a_page_may_do(
    site_env: dict[str, str], setting: str, origin: str, allowed: bool, trusted: bool
) -> None:
    """The browser's question is answered for HTTP and for long-polling alike."""
    with running_server({**site_env, "ALLOWED_ORIGINS": setting}) as address:
        asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        for path in ("/v1/conversations", "/socket.io/?EIO=4&transport=polling"):
            headers = requests.options(f"{address}{path}", headers=asked, timeout=10).headers
            assert (headers.get("Access-Control-Allow-Origin") == origin) == allowed
            assert (headers.get("Access-Control-Allow-Credentials") == "true") == trusted


def test_a_cookie_does_not_count_from_a_page_that_is_not_trusted(site_env: dict[str, str]) -> None:
    """With `*` a foreign page may not change anything by the visitor's cookie."""
    with running_server({**site_env, "ALLOWED_ORIGINS": "*"}) as address:
        visitor = requests.Session()
        visitor.post(f"{address}/v1/auth/guest", timeout=10).raise_for_status()
        answer = visitor.post(f"{address}/v1/conversations", json={}, headers={"Origin": OTHER}, timeout=10)
        assert answer.status_code == 403
        own = visitor.post(f"{address}/v1/conversations", json={}, headers={"Origin": address}, timeout=10)
        assert own.status_code == 201
