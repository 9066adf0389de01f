"""spark-mobile's recordings and pictures: read by what they are, charged when that was done."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from flask.testing import FlaskClient

from services import picture_assembly
from services.errors import VendorOverloaded
from services.events import Stop, TextDelta
from services.ocr.base import AttemptClock, ReaderCard, ReaderSpec, ReadRequest
from tests.compat.test_spark_mobile import member
from tests.scripted import NoSettings
from tests.servers import Site
from tests.services.pictures.samples import picture
from tests.speakers import Ear, words_of

PCM = bytes(range(256)) * 250


class Eye:
    """Reads two words off every picture."""

    failure: Exception | None = None

    def readers(self) -> tuple[ReaderCard, ...]:
        return (ReaderCard("eye", "Eye", "eye", "eye-1", ("ocr",)),)

    def read(self, request: ReadRequest, clock: AttemptClock) -> Iterator[Any]:
        if self.failure is not None:
            raise self.failure
        yield TextDelta("春眠 ")
        gevent.sleep(0)
        yield TextDelta("{}")
        yield Stop("stop", result={"regions": []})

    def close(self) -> None:
        """Nothing is kept."""


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def eye(monkeypatch: pytest.MonkeyPatch) -> Eye:
    eye = Eye()
    specs = {ReaderSpec: [ReaderSpec("eye", NoSettings, "EYE", lambda _: eye)]}  # type: ignore[arg-type,return-value]
    monkeypatch.setattr(picture_assembly, "collect", lambda _, kind: specs.get(kind, []))
    return eye


@pytest.fixture
def site(site_env: dict[str, str], ear: Ear, eye: Eye, request: pytest.FixtureRequest) -> Iterator[Site]:
    settings = {"INITIAL_PICTURES": "1", "COMPAT": "spark-mobile", **getattr(request, "param", {})}
    site = Site({**site_env, **settings}, [], [ear.spec])
    yield site
    with site.services.uow.read() as session:
        assert site.services.ledger.audit(session) == []
    site.close()


def send(client: FlaskClient, path: str, data: bytes, name: str, headers: dict[str, str] | None = None) -> Any:
    return client.post(path, data={"file": (io.BytesIO(data), name)}, headers=headers).get_json()


def test_a_recording_is_heard(site: Site, ear: Ear) -> None:
    client = site.client()
    pair = member(client)
    for headers in (pair, {}):
        assert send(client, "/voiceModel/chat", PCM, "a.pcm", headers) == {
            "code": 0, "content": words_of(PCM), "msg": "成功"
        }  # fmt: skip
    raw = client.post("/voiceModel/chat", data=PCM, content_type="application/octet-stream")
    assert raw.get_json()["content"] == words_of(PCM)
    assert [bytes(heard) for heard in ear.heard] == [PCM] * 3


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [
        (PCM, "a.mp3", "FILE_FORMAT_ILLEGAL"),
        (b"RIFF0000WAVEfmt ", "a.pcm", "FILE_FORMAT_ILLEGAL"),
        (b"\xff\xd8\xff\xe0" * 8, "a.jpg", "FILE_FORMAT_ILLEGAL"),
        (b"odd", "a.pcm", "FILE_FORMAT_ILLEGAL"),
        (b"", "a.pcm", "GET_FILE_FAIL"),
    ],
)
def test_what_is_no_recording_is_refused(site: Site, ear: Ear, data: bytes, name: str, code: str) -> None:
    assert send(site.client(), "/voiceModel/chat", data, name)["code"] == code
    assert ear.heard == []


def test_a_failed_recogniser_and_a_wrong_pair_are_told(site: Site, ear: Ear) -> None:
    client = site.client()
    ear.failure = VendorOverloaded("busy")
    failed = send(client, "/voiceModel/chat", PCM, "a.pcm")
    assert (failed["code"], "content" in failed) == ("AUDIO_TO_TEXT_ERROR", False)
    wrong = send(client, "/voiceModel/chat", PCM, "a.pcm", {"uuid": "0" * 32, "username": "ann"})
    assert wrong["code"] == "USER_NOT_FOUND"


@pytest.mark.parametrize("site", [{"SPARK_MOBILE_VOICE_LOGIN": "true"}], indirect=True)
def test_the_headers_can_be_required(site: Site) -> None:
    client = site.client()
    assert send(client, "/voiceModel/chat", PCM, "a.pcm")["code"] == "USER_NOT_FOUND"
    assert send(client, "/voiceModel/chat", PCM, "a.pcm", member(client))["code"] == 0


def test_of_many_requests_on_the_last_picture_exactly_one_succeeds(site: Site) -> None:
    client = site.client()
    pair, data = member(client), picture("PNG")

    def look() -> Any:
        return send(site.client(), "/PictureToTextModel/chat", data, "a.png", pair)

    jobs = [gevent.spawn(look) for _ in range(20)]
    gevent.joinall(jobs, timeout=30, raise_error=True)
    told = [job.value for job in jobs]
    assert [answer for answer in told if answer["code"] == 0] == [{"code": 0, "content": "春眠 {}", "msg": "成功"}]
    assert [answer["code"] for answer in told].count("PIC_TIMES_NOT_ENOUGH") == 19
    login = client.post("/auth/login", json={"username": "ann", "password": "pw"}).get_json()
    assert login["picTimes"] == 0


def test_only_a_picture_that_was_read_is_charged(site: Site, eye: Eye) -> None:
    client = site.client()
    pair, data = member(client), picture("JPEG")
    eye.failure = VendorOverloaded("busy")
    assert send(client, "/PictureToTextModel/chat", data, "a.jpg", pair)["code"] == "PICTURE_TO_TEXT_ERROR"
    for bad, name, code in (
        (b"not a picture", "a.jpg", "FILE_FORMAT_ILLEGAL"),
        (data, "a.exe", "FILE_FORMAT_ILLEGAL"),
        (b"", "a.jpg", "GET_FILE_FAIL"),
    ):
        assert send(client, "/PictureToTextModel/chat", bad, name, pair)["code"] == code
    assert send(client, "/PictureToTextModel/chat", data, "a.jpg")["code"] == "USER_NOT_FOUND"
    eye.failure = None
    assert send(client, "/PictureToTextModel/chat", data, "a.jpg", pair)["code"] == 0
    assert send(client, "/PictureToTextModel/chat", data, "a.jpg", pair)["code"] == "PIC_TIMES_NOT_ENOUGH"


def test_a_name_in_chinese_comes_through_a_header(site: Site) -> None:
    """Some clients send its UTF-8 bytes, which arrive as Latin-1."""
    client = site.client()
    pair = member(client, "安安")
    headers = {"uuid": pair["uuid"], "username": "安安".encode().decode("latin-1")}
    assert send(client, "/PictureToTextModel/chat", picture("PNG"), "a.png", headers)["code"] == 0
