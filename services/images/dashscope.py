"""Drawing with DashScope: Stable Diffusion and Wanx, as jobs that are created, polled and fetched."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import gevent
import orjson

import config
from services.errors import VendorError, VendorOverloaded, VendorTimeout
from services.events import StateChanged
from services.images.base import Drawing, DrawRequest, PainterCard, PainterSpec
from services.images.dashscope_faults import of_code, of_response
from services.wire.dial import DialSettings, check_url
from services.wire.fetching import Fetcher
from services.wire.http_client import HttpClient

CREATE_PATH = "/services/aigc/text2image/image-synthesis"
CANCEL_S = 5.0
FETCH_S = 30.0
MAX_ANSWER_BYTES = 1_048_576
MAX_PICTURE_BYTES = 10 * 1_048_576
_NATIVE, _COMPATIBLE = "/api/v1", "/compatible-mode/v1"
_OVER = ("SUCCEEDED", "FAILED", "CANCELED", "UNKNOWN")


@dataclass(frozen=True, slots=True)
class DashScopeDrawingSettings(DialSettings):
    """Drawing with DashScope."""

    api_key: str = config.setting(
        "", "Key of DashScope, for Qwen; API_KEY is read too.", env="DASHSCOPE_API_KEY", also="API_KEY", secret=True
    )
    base_url: str = config.setting(
        "https://dashscope.aliyuncs.com/api/v1",
        "DashScope's address; one that ends in /compatible-mode/v1 is spoken to in OpenAI's shape.",
        env="DASHSCOPE_BASE_URL",
    )
    workspace: str = config.setting(
        "", "Workspace of Model Studio; empty for the key's own.", env="DASHSCOPE_WORKSPACE"
    )
    sd_model: str = config.setting(
        "stable-diffusion-v1.5", "Model that draws pictures when none is asked for.", env="SD_MODEL"
    )
    wanx_model: tuple[str, ...] = config.setting(
        ("wanx-v1",), "Models of Wanx that draw pictures, separated by commas.", env="WANX_MODEL"
    )


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often a job is asked after, in seconds: the wait doubles at every third look.

    Attributes:
        limit_s: A job that is not done by then is cancelled.
    """

    first_s: float = 1.0
    longest_s: float = 5.0
    limit_s: float = 180.0

    def waits(self) -> Iterator[float]:
        wait_s = self.first_s
        while True:
            for _ in range(3):
                yield wait_s
            wait_s = min(wait_s * 2, self.longest_s)


class DashScopeDrawing:
    """One job a drawing. Any number of greenlets may draw at once. Source: docs/pictures.md."""

    def __init__(self, settings: DashScopeDrawingSettings, rhythm: Rhythm | None = None) -> None:
        base_url = settings.base_url.rstrip("/")
        if not check_url(base_url):
            raise config.ConfigError("DASHSCOPE_BASE_URL must be an http:// or https:// address.")
        if not urlsplit(base_url).path:
            base_url += _NATIVE
        if base_url.endswith(_COMPATIBLE):
            base_url = base_url.removesuffix(_COMPATIBLE) + _NATIVE
        self._base_url = base_url
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {settings.api_key}"}
        if settings.workspace:
            self._headers["X-DashScope-WorkSpace"] = settings.workspace
        self._rhythm = rhythm or Rhythm()
        self._http = HttpClient(settings)
        self._fetcher = Fetcher(settings, home=base_url)
        available = bool(settings.api_key)
        self._cards = tuple(
            PainterCard(model, _title(model), "dashscope", model, _size(model), available)
            for model in dict.fromkeys((settings.sd_model, *settings.wanx_model))
        )

    def painters(self) -> tuple[PainterCard, ...]:
        return self._cards

    def draw(self, request: DrawRequest) -> Generator[StateChanged | Drawing, None, None]:
        until = time.monotonic() + self._rhythm.limit_s
        task_id, status = self._create(request)
        try:
            output: dict[str, Any] = {}
            shown = None
            for wait_s in self._rhythm.waits():
                if (state := _state(status, output)) != shown:
                    shown = state
                    yield state
                if time.monotonic() >= until:
                    raise VendorTimeout("The picture was not drawn in time.")
                gevent.sleep(wait_s)
                output = self._look(task_id) or output
                status = str(output.get("task_status", status))
                if status in _OVER:
                    break
        except BaseException:
            gevent.spawn(self._cancel, task_id)
            raise
        if status != "SUCCEEDED":
            raise of_code(output, 200)
        yield from self._drawings(output, request.count)

    def close(self) -> None:
        self._http.close()
        self._fetcher.close()

    def _create(self, request: DrawRequest) -> tuple[str, str]:
        body = {
            "model": request.model,
            "input": {"prompt": request.prompt},
            "parameters": {"size": f"{request.width}*{request.height}", "n": request.count},
        }
        output = self._ask("POST", CREATE_PATH, body, {"X-DashScope-Async": "enable"})
        task_id = output.get("task_id")
        if not isinstance(task_id, str) or not task_id:
            raise VendorOverloaded("The model's provider sent an answer that cannot be read.")
        return task_id, str(output.get("task_status", "PENDING"))

    def _look(self, task_id: str) -> dict[str, Any] | None:
        """How the job is; None when the vendor is too busy to say, which says nothing about the job."""
        try:
            return self._ask("GET", f"/tasks/{quote(task_id, safe='')}")
        except VendorError as error:
            if error.retryable:
                return None
            raise

    def _cancel(self, task_id: str) -> None:
        """Nobody wants it any more. A job that runs already cannot be cancelled, and no harm is done."""
        with gevent.Timeout(CANCEL_S, False), suppress(VendorError):
            self._ask("POST", f"/tasks/{quote(task_id, safe='')}/cancel", {})

    def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """The `output` of an answer."""
        data = orjson.dumps(body) if body is not None else b""
        with self._http.request(
            method, self._base_url + path, headers={**self._headers, **(headers or {})}, body=data
        ) as response:
            answer = response.read_up_to(MAX_ANSWER_BYTES)
            if response.status != 200:
                raise of_response(response.status, answer)
        try:
            output = orjson.loads(answer)["output"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise VendorOverloaded("The model's provider sent an answer that cannot be read.") from error
        if not isinstance(output, dict):
            raise VendorOverloaded("The model's provider sent an answer that cannot be read.")
        return output

    def _drawings(self, output: dict[str, Any], count: int) -> Iterator[Drawing]:
        """What the job made. One that failed is left out as long as another did not."""
        failure: VendorError | None = None
        made = 0
        results = output.get("results")
        for result in results[:count] if isinstance(results, list) else []:
            if not isinstance(result, dict) or not isinstance(result.get("url"), str):
                failure = failure or of_code(result if isinstance(result, dict) else {}, 200)
                continue
            try:
                data = self._fetcher.get(result["url"], max_bytes=MAX_PICTURE_BYTES, limit_s=FETCH_S)
            except VendorError as error:
                failure = failure or error
                continue
            made += 1
            yield Drawing(data)
        if not made:
            raise failure or VendorOverloaded("No picture came of it.")


def _state(status: str, output: dict[str, Any]) -> StateChanged:
    if status in ("PENDING", "SUSPENDED"):
        return StateChanged("queued")
    metrics = output.get("task_metrics")
    total = metrics.get("TOTAL") if isinstance(metrics, dict) else None
    done = metrics.get("SUCCEEDED") if isinstance(metrics, dict) else None
    if isinstance(total, int) and isinstance(done, int) and 0 <= done <= total and total > 0:
        return StateChanged("thinking", progress=done / total)
    return StateChanged("thinking")


def _title(model: str) -> str:
    if model.startswith("wanx"):
        return f"Wanx 通义万相 {model.removeprefix('wanx').lstrip('-')}".strip()
    return model.replace("-", " ").title() if model.startswith("stable-diffusion") else model


def _size(model: str) -> tuple[int, int]:
    return (512, 512) if model.startswith("stable-diffusion-v1") else (1_024, 1_024)


SPEC = PainterSpec(
    name="dashscope", settings=DashScopeDrawingSettings, prefix="DASHSCOPE", build=DashScopeDrawing, order=40
)
