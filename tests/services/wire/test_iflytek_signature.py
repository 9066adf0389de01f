"""iFlytek's signature, against the vendor's published examples."""

from __future__ import annotations

import base64
from email.utils import formatdate
from urllib.parse import parse_qs, urlsplit

import pytest

from services.wire.iflytek_signature import sign, signed_url, skew_s
from tests.clocks import FakeClock


@pytest.mark.parametrize(
    ("secret", "host", "date", "request_line", "signature"),
    [
        (
            "secretxxxxxxxx2df7900c09xxxxxxxx",
            "iat-api.xfyun.cn",
            "Wed, 10 Jul 2019 07:35:43 GMT",
            "GET /v2/iat HTTP/1.1",
            "Hp3Ty4ZkSBmL8jKyOLpQiv9Sr5nvmeYEH7WsL/ZO2Jg=",
        ),
        (
            "apisecretXXXXXXXXXXXXXXXXXXXXXXX",
            "api.xf-yun.com",
            "Fri, 23 Apr 2021 02:35:47 GMT",
            "POST /v1/private/s782b4996 HTTP/1.1",
            "1jwQbIAKmQE7JwIH0IDxiC1pejrlN+VpHXDWOFVy5NM=",
        ),
    ],
)
def test_published_examples_come_out(secret: str, host: str, date: str, request_line: str, signature: str) -> None:
    """Byte for byte."""
    assert sign(secret, host=host, date=date, request_line=request_line) == signature


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("wss://spark-api.xf-yun.com/v3.5/chat", "spark-api.xf-yun.com"),
        ("wss://spark-api.xf-yun.com:443/v3.5/chat", "spark-api.xf-yun.com"),
        ("ws://127.0.0.1:8080/v3.5/chat", "127.0.0.1:8080"),
        ("ws://[::1]:8080/v3.5/chat", "[::1]:8080"),
    ],
)
def test_a_signed_url_carries_who_and_when(url: str, host: str) -> None:
    """The host is that of the `Host` header, and every sign of base64 is escaped."""
    clock = FakeClock(1_562_744_143_000)
    signed = urlsplit(signed_url(url, api_key="key", api_secret="secret", clock=clock))
    assert signed.path == "/v3.5/chat"
    assert not set(signed.query) & set("+ ,/")
    query = {name: values[0] for name, values in parse_qs(signed.query, strict_parsing=True).items()}
    assert (query["host"], query["date"]) == (host, "Wed, 10 Jul 2019 07:35:43 GMT")
    signature = sign("secret", host=host, date=query["date"], request_line="GET /v3.5/chat HTTP/1.1")
    assert base64.b64decode(query["authorization"]).decode() == (
        f'api_key="key", algorithm="hmac-sha256", headers="host date request-line", signature="{signature}"'
    )


def test_two_clocks_are_compared() -> None:
    """Positive when ours is ahead; nothing when the other cannot be read."""
    clock = FakeClock(1_562_744_143_000)
    assert skew_s(formatdate(1_562_744_043, usegmt=True), clock) == 100
    assert skew_s(formatdate(1_562_744_243, usegmt=True), clock) == -100
    assert [skew_s(date, clock) for date in ("", "yesterday", "Wed, 99 Jul 2019 07:35:43 GMT")] == [None] * 3
