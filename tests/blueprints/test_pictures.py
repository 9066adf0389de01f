"""Pictures over HTTP: sent, fetched and deleted by their owner, drawn for OpenAI's stock client; the contract holds."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import socketio
from gevent.event import Event

from services.pictures.header import MAX_BYTES
from tests.blueprints.json_schema import faults
from tests.servers import Site
from tests.services.ocr.pages import page
from tests.services.pictures.samples import opened, picture, saved

LIMIT_S = 30


@pytest.fixture
def open_site(site_env: dict[str, str]) -> Iterator[tuple[Site, str]]:
    """With every provider, reader and painter, and no key."""
    site = Site({**site_env, "INITIAL_PICTURES": "10"})
    yield site, site.open()
    site.close()


def test_a_picture_is_kept_for_its_owner(site: Site) -> None:
    """Never sniffed, never shown as a page, asked for again by its tag, and gone when it is deleted."""
    ann, bob = site.register("ann"), site.register("bob")
    client = site.client()
    sent = client.post("/v1/pictures", data=picture("JPEG"), content_type="image/jpeg", headers=ann)
    assert sent.status_code == 201, sent.text
    record = sent.get_json()
    assert (record["width"], record["height"], record["type"]) == (60, 40, "image/jpeg")
    assert client.get("/v1/pictures", headers=ann).get_json() == {"pictures": [record]}

    got = client.get(record["url"], headers=ann)
    assert (got.mimetype, opened(got.get_data()).size) == ("image/jpeg", (60, 40))
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in got.headers["Content-Security-Policy"]
    assert got.headers["Content-Disposition"].startswith("attachment;")
    assert "no-cache" in got.headers["Cache-Control"]
    assert "private" in got.headers["Cache-Control"]
    again = client.get(record["url"], headers={**ann, "If-None-Match": got.headers["ETag"]})
    assert (again.status_code, again.get_data()) == (304, b"")

    for who, status in ((bob, 404), ({}, 401)):
        for method in ("GET", "DELETE"):
            tagged = {**who, "If-None-Match": got.headers["ETag"]}
            assert client.open(record["url"], method=method, headers=tagged).status_code == status
    assert client.get("/v1/pictures", headers=bob).get_json() == {"pictures": []}
    assert client.delete(record["url"], headers=ann).status_code == 200
    assert client.get(record["url"], headers=ann).status_code == 404


@pytest.mark.parametrize(
    ("data", "kind", "status", "code"),
    [
        (b"hello", "image/png", 415, "unsupported_media"),
        (b"<svg onload=alert(1)>", "image/svg+xml", 415, "unsupported_media"),
        (picture(), "text/html", 415, "unsupported_media"),
        (b"", "image/png", 400, "invalid_request"),
        (picture() + bytes(MAX_BYTES), "image/png", 413, "too_large"),
    ],
)
def test_what_is_no_picture_is_refused(site: Site, data: bytes, kind: str, status: int, code: str) -> None:
    refused = site.client().post("/v1/pictures", data=data, content_type=kind, headers=site.register("ann"))
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize("path", ["/v1/pictures/../../etc/passwd", "/v1/pictures/p_%2e%2e%2fx", "/v1/pictures/%00"])
def test_no_name_leads_to_another_file(site: Site, path: str) -> None:
    assert site.client().get(path, headers=site.register("ann")).status_code in (400, 404)


def test_the_stock_openai_client_has_pictures_drawn(open_site: tuple[Site, str]) -> None:
    """By address or in the answer; refusals are exceptions of its own; what was drawn is paid for."""
    site, address = open_site
    headers = site.register("ann")
    token = headers["Authorization"].removeprefix("Bearer ")
    client = openai.OpenAI(base_url=f"{address}/v1", api_key=token, max_retries=0)
    drawn = client.images.generate(prompt="一只红船", n=2, size="256x256", response_format="b64_json")
    sizes = [opened(base64.b64decode(one.b64_json or "")).size for one in drawn.data or []]
    assert sizes == [(256, 256)] * 2
    by_address = client.images.generate(prompt="一只红船", model="demo-drawing")
    assert by_address.data is not None
    url = by_address.data[0].url or ""
    assert url.startswith(f"{address}/v1/pictures/p_")
    assert site.client().get(url.removeprefix(address), headers=headers).status_code == 200
    assert site.client().get("/v1/auth/me", headers=headers).get_json()["quota"]["pictures"] == 7
    with pytest.raises(openai.NotFoundError):
        client.images.generate(prompt="x", model="none")
    with pytest.raises(openai.BadRequestError):
        client.images.generate(prompt="x", n=5)
    with pytest.raises(openai.APIStatusError, check=lambda error: error.status_code == 402):
        for _ in range(3):
            client.images.generate(prompt="x", n=4)
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{address}/v1", api_key="wrong", max_retries=0).images.generate(prompt="x")


def test_what_a_client_of_pictures_receives_is_what_the_contract_says(open_site: tuple[Site, str]) -> None:
    """Every event and acknowledgement of a short life, good and bad, against its shape."""
    site, address = open_site
    contract = site.client().get("/asyncapi.json").get_json()
    messages = contract["channels"]["picture"]["messages"]
    received: list[tuple[str, Any]] = []
    ended = Event()

    def keep(event: str, payload: Any) -> None:
        received.append((event, payload))
        if event == "turn_end":
            ended.set()

    client: Any = socketio.Client(reconnection=False)
    client.on("*", keep, namespace="/picture")
    client.connect(address, namespaces=["/picture"], transports=["websocket"])

    def call(event: str, payload: Any) -> Any:
        answer = client.call(event, payload, namespace="/picture", timeout=LIMIT_S)
        assert faults(answer, messages[f"{event}_ack"]["payload"], contract) == []
        return answer

    data = saved(page("Contract"), "PNG")
    upload = call("picture_upload", {"client_id": "u", "bytes": len(data), "type": "image/png"})["upload"]
    call("picture_part", {"upload": upload, "at": 0, "data": data[:10]})
    call("picture_part", {"upload": upload, "at": 10, "data": data[10:]})
    for event, payload in (
        ("picture_read", {"client_id": "r", "task": "ocr", "upload": upload}),
        ("picture_draw", {"client_id": "d", "prompt": "a boat"}),
    ):
        turn = call(event, payload)["turn"]
        assert ended.wait(LIMIT_S)
        ended.clear()
        call("turn_attach", {"turn": turn})
        assert ended.wait(LIMIT_S)
        ended.clear()
    call("turn_stop", {"turn": turn})
    call("turn_detach", {"turn": turn})
    call("sync", {})
    for event in ("picture_read", "picture_upload", "picture_part", "picture_draw", "turn_attach", "turn_stop"):
        assert call(event, {})["ok"] is False
    client.disconnect()
    for event, payload in received:
        assert faults(payload, messages[event]["payload"], contract) == [], event
    told = {event for event, _ in received}
    assert told == {"welcome", "turn_state", "turn_delta", "turn_end", "quota_changed"}
