"""DashScope's drawing on loopback: jobs that are created, polled, cancelled, and pictures to be fetched."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

import orjson

from simulators.dashscope import DashScopeSimulator
from simulators.dashscope_answer import REQUEST_ID
from simulators.faults import Fault, read_directive, without_directive
from simulators.loopback import Exchange
from simulators.openai_answer import FOR_EVER_S

_ROOT = "/api/v1"
_CREATE = _ROOT + "/services/aigc/text2image/image-synthesis"
_TASKS = _ROOT + "/tasks/"
_RESULTS = "/results/"
_MODELS = ("stable-diffusion-v1.5", "stable-diffusion-xl", "wanx-v1", "wanx2.1-t2i-turbo")


@dataclass(frozen=True, slots=True)
class DrawingFault(Fault):
    """What goes wrong with a job, as in `[[fault task=FAILED code=InternalError.Algo]]`.

    Attributes:
        task: The state it ends in; `never` for none.
        busy: So many looks after it are answered 503.
        partly: Its first picture fails.
        result: What its URL leads to: `html`, `missing`, `huge`, `endless`, `slow`, `loop`, or the address to be
            redirected to; `at=...` is told in place of our own URL.
    """

    task: str = "SUCCEEDED"
    busy: int = 0
    partly: bool = False
    result: str = ""


@dataclass(slots=True)
class Job:
    """One job as a test reads it."""

    id: str
    body: dict[str, Any]
    fault: DrawingFault
    looks: int = 0
    fetched: int = 0
    cancelled: bool = False
    states: list[str] = field(default_factory=list)


class WanxSimulator(DashScopeSimulator):
    """DashScope with drawing: what is no drawing is answered as `DashScopeSimulator` does.

    A job is `PENDING` at its creation, `RUNNING` at the first look, and over at the second.

    Attributes:
        jobs: By id, oldest first.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.jobs: dict[str, Job] = {}

    def answer(self, exchange: Exchange) -> None:
        request = exchange.call.request
        path = request.path.partition("?")[0]
        if path.startswith(_RESULTS):
            self._give(exchange, path.removeprefix(_RESULTS))
        elif path == _CREATE:
            self._create(exchange)
        elif path.startswith(_TASKS):
            self._look(exchange, path.removeprefix(_TASKS))
        else:
            super().answer(exchange)

    def _allowed(self, exchange: Exchange) -> bool:
        if exchange.call.request.headers.get("authorization") == f"Bearer {self.key}":
            return True
        _refuse(exchange, 401, "InvalidApiKey", "Invalid API-key provided.")
        return False

    def _create(self, exchange: Exchange) -> None:
        if not self._allowed(exchange):
            return
        if exchange.call.request.headers.get("x-dashscope-async") != "enable":
            _refuse(exchange, 403, "AccessDenied", "current user api does not support synchronous calls.")
            return
        try:
            body = orjson.loads(exchange.call.request.body)
            prompt, parameters = body["input"]["prompt"], body["parameters"]
            width, height = (int(side) for side in parameters["size"].split("*"))
            fine = bool(prompt) and 1 <= parameters["n"] <= 4 and min(width, height) > 0
        except (orjson.JSONDecodeError, KeyError, ValueError, TypeError, AttributeError):
            fine = False
        if not fine:
            _refuse(exchange, 400, "InvalidParameter", "Required body invalid.")
            return
        if body["model"] not in _MODELS:
            _refuse(exchange, 400, "ModelNotFound", "Model can not be found.")
            return
        fault = read_directive(prompt, DrawingFault)
        assert isinstance(fault, DrawingFault)
        if fault.silent:
            exchange.pause(FOR_EVER_S)
        if fault.status:
            _refuse(exchange, fault.status, fault.code or "InternalError", "A secret sk-of-the-vendor's own.")
            return
        job = Job(f"job-{len(self.jobs) + 1:04}", {**body, "prompt": without_directive(prompt)}, fault)
        self.jobs[job.id] = job
        _tell(exchange, {"task_id": job.id, "task_status": "PENDING"})

    def _look(self, exchange: Exchange, rest: str) -> None:
        if not self._allowed(exchange):
            return
        task_id, _, action = rest.partition("/")
        job = self.jobs.get(task_id)
        if job is None:
            _tell(exchange, {"task_id": task_id, "task_status": "UNKNOWN"})
        elif action == "cancel":
            if job.looks == 0:
                job.cancelled = True
                _tell(exchange, {"task_id": task_id, "task_status": "CANCELED"})
            else:
                _refuse(exchange, 400, "UnsupportedOperation", "Only a pending task can be canceled.")
        else:
            self._progress(exchange, job)

    def _progress(self, exchange: Exchange, job: Job) -> None:
        job.looks += 1
        fault, count = job.fault, job.body["parameters"]["n"]
        if job.looks <= fault.busy:
            _refuse(exchange, 503, "ModelServiceFailed", "Try later.")
            return
        output: dict[str, Any] = {"task_id": job.id, "task_status": "RUNNING"}
        if job.looks - fault.busy == 1 or fault.task == "never":
            output["task_metrics"] = {"TOTAL": count, "SUCCEEDED": 0, "FAILED": 0}
        elif fault.task == "SUCCEEDED":
            output |= self._succeeded(job, count)
        else:
            output |= {"task_status": fault.task, "code": fault.code, "message": "It says sk-of-the-vendor's own."}
        job.states.append(output["task_status"])
        _tell(exchange, output)

    def _succeeded(self, job: Job, count: int) -> dict[str, Any]:
        results: list[dict[str, str]] = [{"url": self._url(job, number)} for number in range(count)]
        if job.fault.partly:
            results[0] = {"code": job.fault.code or "InternalError.Algo", "message": "This one failed."}
        failed = int(job.fault.partly)
        metrics = {"TOTAL": count, "SUCCEEDED": count - failed, "FAILED": failed}
        return {"task_status": "SUCCEEDED", "results": results, "task_metrics": metrics}

    def _url(self, job: Job, number: int) -> str:
        wanted = job.fault.result
        return wanted.removeprefix("at=") if wanted.startswith("at=") else f"{self.url}{_RESULTS}{job.id}/{number}.png"

    def _give(self, exchange: Exchange, rest: str) -> None:
        """A result. The real ones are signed URLs: whoever sends the key along gives it away."""
        if "authorization" in exchange.call.request.headers:
            _refuse(exchange, 400, "InvalidArgument", "Only one auth mechanism allowed.")
            return
        job = self.jobs[rest.partition("/")[0]]
        job.fetched += 1
        kind = job.fault.result
        if kind == "html":
            exchange.whole("200 OK", b"<html><script>alert(1)</script></html>", {"Content-Type": "image/png"})
        elif kind == "missing":
            exchange.whole("404 Not Found", b"", {})
        elif kind == "huge":
            exchange.head("200 OK", {"Content-Length": str(10**10)})
            exchange.pause(FOR_EVER_S)
        elif kind == "endless":
            exchange.head("200 OK", {}, is_chunked=True)
            while True:
                exchange.send(bytes(65_536))
        elif kind == "slow":
            exchange.pause(FOR_EVER_S)
        elif kind == "loop":
            exchange.whole("302 Found", b"", {"Location": exchange.call.request.path})
        elif kind and not kind.startswith("at="):
            exchange.whole("302 Found", b"", {"Location": kind})
        else:
            width, height = (int(side) for side in job.body["parameters"]["size"].split("*"))
            exchange.whole("200 OK", _png(width, height), {"Content-Type": "image/png"})


def _png(width: int, height: int) -> bytes:
    """A field of one colour, without any library."""
    rows = zlib.compress((b"\0" + b"\xc8\x32\x32" * width) * height, 1)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", rows),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def _tell(exchange: Exchange, output: dict[str, Any]) -> None:
    body = orjson.dumps({"output": output, "request_id": REQUEST_ID})
    exchange.whole("200 OK", body, {"Content-Type": "application/json"})


def _refuse(exchange: Exchange, status: int, code: str, message: str) -> None:
    body = orjson.dumps({"code": code, "message": message, "request_id": REQUEST_ID})
    exchange.whole(f"{status} Refused", body, {"Content-Type": "application/json"})
