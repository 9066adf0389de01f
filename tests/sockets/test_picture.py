"""`/picture` on a real port: pictures are uploaded, read and drawn; others follow; wrong input is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import requests
import socketio
from gevent.event import Event

from services.pictures.header import MAX_BYTES
from tests.processes import ServerProcess
from tests.services.ocr.pages import LINES, page
from tests.services.pictures.samples import bomb_png, opened, picture, png_of, saved
from tests.viewers import Device

READ = {"client_id": "c", "task": "ocr"}
DRAW = {"client_id": "d", "prompt": "a red boat"}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("server")
    server = ServerProcess(folder / "data", INITIAL_PICTURES="20").start()
    yield server.address
    server.stop()


@pytest.fixture
def device(address: str) -> Iterator[Device]:
    device = Device(address, namespace="/picture").connect()
    yield device
    device.leave()


def told(device: Device, event: str, payload: Any) -> dict[str, Any]:
    answer = device.call(event, payload)
    assert answer["ok"], answer
    return answer


def error_of(answer: dict[str, Any]) -> tuple[str, str | None]:
    assert answer["ok"] is False
    return answer["error"]["code"], answer["error"].get("field")


def fetched(device: Device, url: str) -> requests.Response:
    return requests.get(device.address + url, headers={"Authorization": f"Bearer {device.token}"}, timeout=10)


def test_a_page_is_read_line_by_line_with_its_places(device: Device) -> None:
    """In one event, with no key: every character, a box for each line; a second device sees the same."""
    assert [reader["id"] for reader in device.welcome["readers"] if reader["available"]] == ["local-ocr"]
    started = told(device, "picture_read", {**READ, "picture": saved(page(*LINES), "JPEG", quality=92)})
    end = device.seen(started["turn"]).whole()
    assert (end["status"], device.seen(started["turn"]).text) == ("done", "\n".join(LINES))
    assert [region["text"] for region in end["regions"]] == list(LINES)
    assert all(len(region["box"]) == 4 and 0.8 < region["score"] <= 1 for region in end["regions"])
    again = told(device, "picture_read", {**READ, "picture": b"not looked at"})
    assert (again["turn"], again["picture"]) == (started["turn"], started["picture"])
    other = Device(device.address, namespace="/picture", token=device.token).connect()
    other.attach(started["turn"])
    assert other.seen(started["turn"]).whole()["regions"] == end["regions"]
    assert other.welcome["quota"]["pictures"] == 20, "the local reader costs nothing"
    other.leave()


def test_an_upload_survives_a_lost_line(device: Device) -> None:
    """Acknowledged parts; the same name goes on where it stopped; the last part is answered with the picture."""
    data = saved(page(*LINES), "BMP")
    begun = told(device, "picture_upload", {"client_id": "u", "bytes": len(data), "type": "image/bmp"})
    step = 200_000
    assert told(device, "picture_part", {"upload": begun["upload"], "at": 0, "data": data[:step]})["next"] == step
    device.leave()
    device.connect()
    again = told(device, "picture_upload", {"client_id": "u", "bytes": len(data), "type": "image/bmp"})
    assert (again["upload"], again["next"]) == (begun["upload"], step)
    ack = again
    while ack["next"] < len(data):
        at = ack["next"]
        ack = told(device, "picture_part", {"upload": begun["upload"], "at": at, "data": data[at : at + step]})
    started = told(device, "picture_read", {"client_id": "u-read", "task": "ocr", "upload": begun["upload"]})
    assert started["picture"] == ack["picture"]["id"]
    assert device.seen(started["turn"]).whole()["length"] == len("\n".join(LINES))
    by_id = told(device, "picture_read", {"client_id": "by id", "task": "ocr", "picture": started["picture"]})
    assert by_id["picture"] == started["picture"]
    assert device.seen(by_id["turn"]).whole()["status"] == "done"


def test_pictures_are_drawn_stored_and_paid_for(device: Device) -> None:
    """Progress, then pictures that only their owner can fetch."""
    started = told(device, "picture_draw", {**DRAW, "count": 2, "size": "320*200"})
    end = device.seen(started["turn"]).whole()
    assert end["status"] == "done"
    assert [(drawn["width"], drawn["height"], drawn["type"]) for drawn in end["pictures"]] == [
        (320, 200, "image/png")
    ] * 2
    stranger = Device(device.address, namespace="/picture").connect()
    for drawn in end["pictures"]:
        answer = fetched(device, drawn["url"])
        assert (answer.status_code, opened(answer.content).size) == (200, (320, 200))
        assert fetched(stranger, drawn["url"]).status_code == 404
        assert error_of(stranger.call("picture_read", {**READ, "picture": drawn["id"]})) == ("not_found", "picture")
    assert error_of(stranger.call("turn_attach", {"turn": started["turn"]})) == ("not_found", "turn")
    stranger.leave()
    device.leave()
    device.connect()
    assert device.welcome["quota"]["pictures"] == 18


def test_of_twenty_at_once_on_the_last_picture_one_succeeds(device: Device) -> None:
    """Set aside before, charged once; nineteen are refused and cost nothing."""
    left = device.welcome["quota"]["pictures"]
    for number in range((left - 1) // 4):
        spent = told(device, "picture_draw", {**DRAW, "client_id": f"spend {number}", "count": 4})
        assert device.seen(spent["turn"]).whole()["status"] == "done"
    rest = told(device, "picture_draw", {**DRAW, "client_id": "spend", "count": (left - 1) % 4})
    device.seen(rest["turn"]).whole()
    calls = [gevent.spawn(device.call, "picture_draw", {**DRAW, "client_id": f"last {n}"}) for n in range(20)]
    gevent.joinall(calls, timeout=60, raise_error=True)
    answers = [call.get() for call in calls]
    good = [answer for answer in answers if answer["ok"]]
    assert [error_of(answer)[0] for answer in answers if not answer["ok"]] == ["quota_exceeded"] * 19
    assert device.seen(good[0]["turn"]).whole()["status"] == "done"
    device.leave()
    device.connect()
    assert device.welcome["quota"]["pictures"] == 0


def test_a_stopped_drawing_costs_nothing(device: Device) -> None:
    """Stopped by its own name, perhaps before it was acknowledged."""
    start = gevent.spawn(device.call, "picture_draw", {**DRAW, "size": "2048*2048", "count": 4})
    gevent.sleep(0)
    while error_of_or_none(stopped := device.call("turn_stop", {"client_id": "d"})) == "not_found":
        gevent.sleep(0.01)
    assert stopped["status"] == "stopped"
    end = device.seen(start.get()["turn"]).whole()
    assert "pictures" not in end
    device.leave()
    device.connect()
    assert device.welcome["quota"]["pictures"] == 20


def error_of_or_none(answer: dict[str, Any]) -> str | None:
    return None if answer["ok"] else error_of(answer)[0]


@pytest.mark.parametrize(
    ("event", "payload", "code", "field"),
    [
        ("picture_read", {}, "invalid_request", "task"),
        ("picture_read", {**READ, "task": "sing"}, "invalid_request", "task"),
        ("picture_read", READ, "invalid_request", "picture"),
        ("picture_read", {**READ, "picture": b"x", "upload": "u"}, "invalid_request", "picture"),
        ("picture_read", {**READ, "picture": 7}, "invalid_request", "picture"),
        ("picture_read", {**READ, "picture": b""}, "invalid_request", "picture"),
        ("picture_read", {**READ, "picture": "p_none"}, "not_found", "picture"),
        ("picture_read", {**READ, "upload": "u_none"}, "not_found", "upload"),
        ("picture_read", {**READ, "picture": b"hello"}, "unsupported_media", "picture"),
        ("picture_read", {**READ, "picture": b"<svg onload=alert(1)>"}, "unsupported_media", "picture"),
        ("picture_read", {**READ, "picture": picture("PNG")[:90]}, "unsupported_media", "picture"),
        ("picture_read", {**READ, "picture": png_of(65_535, 65_535)}, "too_large", "picture"),
        ("picture_read", {**READ, "picture": bomb_png(10_000, 5_000)}, "too_large", "picture"),
        ("picture_read", {**READ, "picture": picture(), "model": "none"}, "model_unknown", "model"),
        ("picture_read", {**READ, "picture": picture(), "model": "qwen-vl-plus"}, "model_unavailable", "model"),
        ("picture_read", {**READ, "picture": picture(), "task": "describe"}, "model_unavailable", "task"),
        ("picture_upload", {"client_id": "c", "bytes": 5}, "invalid_request", "type"),
        ("picture_upload", {"client_id": "c", "bytes": 5, "type": "text/html"}, "unsupported_media", "type"),
        ("picture_upload", {"client_id": "c", "bytes": 0, "type": "image/png"}, "invalid_request", "bytes"),
        ("picture_upload", {"client_id": "c", "bytes": MAX_BYTES + 1, "type": "image/png"}, "too_large", "bytes"),
        ("picture_part", {"upload": "u", "at": 0, "data": "text"}, "invalid_request", "data"),
        ("picture_part", {"upload": "u", "at": 0, "data": bytes(262_145)}, "too_large", "data"),
        ("picture_part", {"upload": "u_none", "at": 0, "data": b"x"}, "not_found", "upload"),
        ("picture_draw", {"client_id": "d"}, "invalid_request", "prompt"),
        ("picture_draw", {**DRAW, "size": "big"}, "invalid_request", "size"),
        ("picture_draw", {**DRAW, "size": "10*10"}, "invalid_request", "size"),
        ("picture_draw", {**DRAW, "size": "9999*512"}, "invalid_request", "size"),
        ("picture_draw", {**DRAW, "count": 5}, "invalid_request", "count"),
        ("picture_draw", {**DRAW, "count": -1}, "invalid_request", "count"),
        ("picture_draw", {**DRAW, "model": "none"}, "model_unknown", "model"),
        ("turn_start", {"client_id": "c", "text": "hi"}, "invalid_request", "event"),
    ],
)
def test_wrong_input_is_named_and_costs_nothing(
    device: Device, event: str, payload: Any, code: str, field: str | None
) -> None:
    """Nothing is stored or charged, and the connection lives."""
    assert error_of(device.call(event, payload)) == (code, field)
    assert device.call("sync")["ok"]
    listed = fetched(device, "/v1/pictures").json()["pictures"]
    assert listed == []
    assert device.welcome["quota"]["pictures"] == 20


def test_a_picture_of_ten_megabytes_comes_in_one_event_and_not_a_byte_more(device: Device) -> None:
    """The namespace takes what a picture may have; more ends the connection, before it is read."""
    exact = picture("PNG") + bytes(MAX_BYTES - len(picture("PNG")))
    assert device.call("picture_read", {**READ, "picture": exact})["ok"]
    assert fetched(device, "/v1/pictures").json()["pictures"][0]["width"] == 60
    gone = device.gone()
    device.emit("picture_read", {**READ, "picture": bytes(MAX_BYTES + 1)})
    assert gone.wait(10)


def test_other_namespaces_take_no_more_than_before(address: str) -> None:
    """A megabyte, though the same connection has joined `/picture` too."""
    for text in ("x" * 1_100_000, bytes(1_100_000)):
        client = socketio.Client(reconnection=False)
        gone = Event()
        client.on("disconnect", lambda *_, gone=gone: gone.set(), namespace="/text")
        client.connect(address, namespaces=["/text", "/picture"], transports=["websocket"])
        client.emit("turn_start", {"client_id": "c", "text": text}, namespace="/text")
        assert gone.wait(10)
