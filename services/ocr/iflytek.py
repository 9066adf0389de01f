"""General text recognition of iFlytek (讯飞通用文字识别): one signed POST, all lines at once."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

import config
from services.clock import Clock, SystemClock
from services.errors import VendorOverloaded, VendorRefused
from services.events import Stop, TextDelta
from services.ocr.base import AttemptClock, ReaderCard, ReaderSpec, Reading, ReadRequest
from services.ocr.iflytek_codes import fault_of
from services.wire.dial import DialSettings, check_url
from services.wire.http_client import HttpClient

PATH = "/v1/service/v1/ocr/general"
MAX_BYTES = 2_900_000
"""In base64, with its signs escaped, below the 4 MB that are taken."""
MAX_SIDE = 4_096
MAX_ANSWER_BYTES = 8 * 1_048_576


@dataclass(frozen=True, slots=True)
class IflytekOcrSettings(DialSettings):
    """Reading pictures with iFlytek."""

    app_id: str = config.setting("", "APPID of iFlytek; needs the key and the secret too.", env="IFLYTEK_APP_ID")
    api_key: str = config.setting("", "APIKey of iFlytek.", env="IFLYTEK_API_KEY", secret=True)
    ocr_key: str = config.setting(
        "", "Key of iFlytek's text recognition, where it is another one.", env="IFLYTEK_OCR_KEY", secret=True
    )
    ocr_url: str = config.setting(
        "https://webapi.xfyun.cn", "Address of iFlytek's text recognition, for a mirror.", env="IFLYTEK_OCR_URL"
    )


class IflytekOcr:
    """Chinese and English, with places. Source: docs/pictures.md."""

    def __init__(self, settings: IflytekOcrSettings, clock: Clock | None = None) -> None:
        if not check_url(settings.ocr_url):
            raise config.ConfigError("IFLYTEK_OCR_URL must be an http:// or https:// address.")
        self._url = settings.ocr_url.rstrip("/") + PATH
        self._app_id, self._key = settings.app_id, settings.ocr_key or settings.api_key
        self._clock = clock or SystemClock()
        self._http = HttpClient(settings)
        self._card = ReaderCard(
            id="iflytek-ocr",
            name="iFlytek OCR 讯飞文字识别",
            provider="iflytek",
            vendor_model="general",
            tasks=("ocr",),
            available=bool(self._app_id and self._key),
            max_bytes=MAX_BYTES,
            max_side=MAX_SIDE,
        )

    def readers(self) -> tuple[ReaderCard, ...]:
        return (self._card,)

    def read(self, request: ReadRequest, clock: AttemptClock) -> Reading:
        body = b"image=" + quote(base64.b64encode(request.data), safe="").encode()
        with self._http.request("POST", self._url, headers=self._headers(), body=body) as response:
            answer = response.read_up_to(MAX_ANSWER_BYTES)
            if response.status >= 500 or response.status == 429:
                raise VendorOverloaded("The reader's provider is busy or broken.")
        try:
            told = orjson.loads(answer)
            code = int(told["code"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            kind = VendorOverloaded if response.status == 200 else VendorRefused
            raise kind("The reader's provider sent an answer that cannot be read.") from error
        if code:
            raise fault_of("iflytek ocr", code, str(told.get("sid", "")))
        regions = _regions(told)
        for number, region in enumerate(regions):
            yield TextDelta(("\n" if number else "") + region["text"])
        yield Stop("stop", result={"regions": regions})

    def close(self) -> None:
        self._http.close()

    def _headers(self) -> dict[str, str]:
        """Signed for this moment: the vendor takes no other."""
        now = str(self._clock.now_ms() // 1000)
        param = base64.b64encode(b'{"language":"cn|en","location":"true"}').decode()
        checksum = hashlib.md5(f"{self._key}{now}{param}".encode(), usedforsecurity=False).hexdigest()
        return {
            "X-Appid": self._app_id,
            "X-CurTime": now,
            "X-Param": param,
            "X-CheckSum": checksum,
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        }


def _regions(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Every line that has text, with its corners.

    Raises:
        VendorOverloaded: The answer has another shape.
    """
    regions = []
    try:
        for block in told["data"]["block"]:
            for line in block.get("line", ()):
                text = "".join(str(word["content"]) for word in line["word"])
                if text.strip():
                    regions.append({"text": text, "box": _box(line), "score": float(line.get("confidence", 1))})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise VendorOverloaded("The reader's provider sent an answer that cannot be read.") from error
    return regions


def _box(line: dict[str, Any]) -> list[list[int]]:
    first, last = line["location"]["top_left"], line["location"]["right_bottom"]
    left, top, right, bottom = (round(float(at)) for at in (first["x"], first["y"], last["x"], last["y"]))
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


SPEC = ReaderSpec(name="iflytek", settings=IflytekOcrSettings, prefix="IFLYTEK", build=IflytekOcr, order=30)
