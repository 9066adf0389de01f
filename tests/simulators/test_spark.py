"""The simulator's honesty: the vendor's own client and a stock WebSocket client judge it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import sys
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
import requests
import websocket

from simulators.faults import read_directive
from simulators.spark import APP_ID, KEY, SECRET, SparkFault, SparkSimulator, answer_to

PATH = "/v3.5/chat"


@pytest.fixture
def simulator() -> Iterator[SparkSimulator]:
    with SparkSimulator() as simulator:
        yield simulator


def signed(simulator: SparkSimulator, *, path: str = PATH, key: str = KEY, secret: str = SECRET, **over: str) -> str:
    """An address as the vendor's documents say, written here anew; `over` replaces parts after the signing."""
    host, date = f"127.0.0.1:{simulator.port}", formatdate(simulator.now(), usegmt=True)
    text = f"host: {host}\ndate: {date}\nGET {path} HTTP/1.1"
    signature = base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()
    origin = f'api_key="{key}", algorithm="hmac-sha256", headers="host date request-line", signature="{signature}"'
    query = {"authorization": base64.b64encode(origin.encode()).decode(), "date": date, "host": host, **over}
    return f"{simulator.ws_url}{over.pop('path', path)}?{urlencode(query)}"


def request(text: Any = "hi", *, domain: str = "generalv3.5", **chat: Any) -> dict[str, Any]:
    texts = text if isinstance(text, list) else [{"role": "user", "content": text}]
    return {
        "header": {"app_id": APP_ID, "uid": "u-42"},
        "parameter": {"chat": {"domain": domain, **chat}},
        "payload": {"message": {"text": texts}},
    }


def frames_of(simulator: SparkSimulator, body: Any, *, path: str = PATH) -> list[dict[str, Any]]:
    """What a stock client hears until the end."""
    client = websocket.create_connection(signed(simulator, path=path), timeout=5)
    try:
        client.send(orjson.dumps(body).decode())
        return [orjson.loads(message) for message in iter(client.recv, "")]
    finally:
        client.close(timeout=0)


# The vendor's package cannot be installed for Python 3.13; the stock WebSocket client below judges there as well.
if sys.version_info < (3, 13):
    from sparkai.core.messages import ChatMessage
    from sparkai.errors import SparkAIConnectionError
    from sparkai.llm.llm import ChatSparkLLM

    def vendors_own(simulator: SparkSimulator, *, key: str = KEY, domain: str = "generalv3.5") -> ChatSparkLLM:
        return ChatSparkLLM(
            spark_api_url=simulator.ws_url + PATH,
            spark_app_id=APP_ID,
            spark_api_key=key,
            spark_api_secret=SECRET,
            spark_llm_domain=domain,
            streaming=True,
            request_timeout=5,
        )

    HELLO = [ChatMessage(role="user", content="Hello 世界")]

    def test_the_vendors_own_client_completes_a_streamed_call(simulator: SparkSimulator) -> None:
        """Piece by piece, the whole text and the count that was sold."""
        chunks = list(vendors_own(simulator).stream(HELLO))
        texts = [chunk.content for chunk in chunks if chunk.content]
        assert texts == answer_to("Hello 世界")
        counts = [chunk.additional_kwargs["token_usage"] for chunk in chunks if chunk.additional_kwargs]
        assert [count["completion_tokens"] for count in counts] == simulator.sold

    def test_the_vendors_own_client_sees_a_refusal(simulator: SparkSimulator) -> None:
        """With the vendor's number: before the text, after it, and for a domain that is not the path's."""
        for fault, code in ((SparkFault(error_after=0, code="10013"), 10013), (SparkFault(error_after=3), 10012)):
            simulator.play(fault)
            with pytest.raises(SparkAIConnectionError) as refused:
                list(vendors_own(simulator).stream(HELLO))
            assert refused.value.error_code == code
        with pytest.raises(SparkAIConnectionError) as refused:
            list(vendors_own(simulator, domain="generalv3").stream(HELLO))
        assert refused.value.error_code == 10003

    def test_the_vendors_own_client_sees_a_wrong_key(simulator: SparkSimulator) -> None:
        """Its handshake is refused, which it reports as -1."""
        with pytest.raises(SparkAIConnectionError) as refused:
            list(vendors_own(simulator, key="another").stream(HELLO))
        assert refused.value.error_code == -1
        assert "401" in str(refused.value)


def test_a_stock_client_hears_the_documented_frames(simulator: SparkSimulator) -> None:
    """Status 0, 1 ... 2, numbers without a gap, one sid, and the count on the last frame alone."""
    frames = frames_of(simulator, request("Hello 世界"))
    headers = [frame["header"] for frame in frames]
    choices = [frame["payload"]["choices"] for frame in frames]
    assert [header["status"] for header in headers] == [0, *[1] * (len(frames) - 2), 2]
    assert [choice["seq"] for choice in choices] == list(range(len(frames)))
    assert {(header["code"], header["sid"]) for header in headers} == {(0, headers[0]["sid"])}
    assert "".join(choice["text"][0]["content"] for choice in choices) == "".join(answer_to("Hello 世界"))
    assert ["usage" in frame["payload"] for frame in frames] == [False] * (len(frames) - 1) + [True]
    assert frames[-1]["payload"]["usage"]["text"]["completion_tokens"] == simulator.sold[0]


@pytest.mark.parametrize(
    ("over", "status", "message"),
    [
        ({"path": "/v9/chat"}, 401, "Unauthorized"),
        ({"key": "another"}, 401, "HMAC signature cannot be verified: apikey not found"),
        ({"secret": "another"}, 401, "HMAC signature does not match"),
        ({"authorization": "!"}, 401, "HMAC signature cannot be verified"),
        ({"authorization": "eyJ9"}, 401, "HMAC signature cannot be verified"),
        ({"host": "spark-api.xf-yun.com"}, 401, "HMAC signature does not match"),
        ({"date": "now"}, 403, "HMAC signature cannot be verified, a valid date"),
        ({"date": formatdate(0, usegmt=True)}, 403, "HMAC signature cannot be verified, a valid date"),
    ],
)
def test_a_wrong_signature_is_refused_before_the_upgrade(
    simulator: SparkSimulator, over: dict[str, str], status: int, message: str
) -> None:
    """With the vendor's status and sentence."""
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        websocket.create_connection(signed(simulator, **over), timeout=5)
    assert refused.value.status_code == status
    assert orjson.loads(refused.value.resp_body or b"")["message"].startswith(message)


def test_a_signature_made_for_another_path_or_time_is_refused(simulator: SparkSimulator) -> None:
    """Five minutes are allowed, one second more is not."""
    url = signed(simulator)
    with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
        websocket.create_connection(url.replace(PATH, "/v4.0/chat"), timeout=5)
    began = simulator.now()
    simulator.now = lambda: began + 299
    websocket.create_connection(url, timeout=5).close(timeout=0)
    simulator.now = lambda: began + 302
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        websocket.create_connection(url, timeout=5)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 10004),
        (request(domain="generalv3"), 10003),
        (request({"role": "user"}), 10003),
        (request([user("a"), user("b")]), 10003),
        (request([user("a"), {"role": "assistant", "content": "b"}]), 10003),
        (request([user("a"), {"role": "system", "content": "b"}, user("c")]), 10003),
        (request([]), 10003),
        (request(temperature=0), 10005),
        (request(temperature=1.1), 10005),
        (request(top_k=7), 10005),
        (request(max_tokens=8_193), 10005),
        ({**request(), "header": {"app_id": APP_ID, "uid": "u" * 33}}, 10005),
        ({**request(), "header": {"app_id": "another"}}, 11200),
        (request("晓 " * 10_000), 10907),
        (request("[[fault nonsense]]"), 10005),
    ],
)
def test_a_wrong_request_is_refused_by_number(simulator: SparkSimulator, body: Any, code: int) -> None:
    """In one frame without a payload, after which the connection ends."""
    (frame,) = frames_of(simulator, body)
    assert (frame["header"]["code"], frame["header"]["status"], "payload" in frame) == (code, 2, False)


def test_a_user_and_an_app_have_only_so_many_answers_at_once(simulator: SparkSimulator) -> None:
    """10007 for the second of a user, 11203 beyond the app's limit; both pass."""
    simulator.play(SparkFault(silent=True))
    first = websocket.create_connection(signed(simulator), timeout=5)
    first.send(orjson.dumps(request()).decode())
    simulator.wait_for_call()
    (frame,) = frames_of(simulator, request())
    assert frame["header"]["code"] == 10007
    simulator.most_at_once = 1
    other = {**request(), "header": {"app_id": APP_ID, "uid": "u-43"}}
    (frame,) = frames_of(simulator, other)
    assert frame["header"]["code"] == 11203
    first.close(timeout=0)
    assert simulator.calls[0].ended.wait(5)
    assert len(frames_of(simulator, request())) > 1


def test_the_http_twin_speaks_as_documented(simulator: SparkSimulator) -> None:
    """No blank after `data:`, no finish reason, the mark at the end; numbers in the bodies of refusals."""
    body = {"model": "generalv3.5", "messages": [user("hi")], "stream": True}
    url, bearer = f"{simulator.url}/v1/chat/completions", {"Authorization": f"Bearer {KEY}"}
    answer = requests.post(url, json=body, headers=bearer, timeout=5)
    lines = [line for line in answer.content.split(b"\n") if line]
    assert lines[-1] == b"data:[DONE]"
    frames = [orjson.loads(line.removeprefix(b"data:")) for line in lines[:-1]]
    assert not any("finish_reason" in frame["choices"][0] for frame in frames)
    assert "".join(frame["choices"][0]["delta"].get("content", "") for frame in frames) == "".join(answer_to("hi"))
    assert requests.post(url, json=body, timeout=5).status_code == 401
    wrong = requests.post(url, json={**body, "model": "spark-x"}, headers=bearer, timeout=5)
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "10003")


def test_a_fault_is_written_in_the_prompt(simulator: SparkSimulator) -> None:
    """With the words of this vendor, for people who try the server by hand."""
    assert read_directive("x [[fault seq=gap error-after=3 code=10014]]", SparkFault) == SparkFault(
        seq="gap", error_after=3, code="10014"
    )
    frames = frames_of(simulator, request("x [[fault error-after=3 code=10014]]"))
    assert [frame["header"]["code"] for frame in frames] == [0, 0, 0, 10014]
