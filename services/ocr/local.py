"""Reading printed text on this machine, Chinese and English, with no key: RapidOCR in a process of its own."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import config
from services.errors import Internal, VendorOverloaded
from services.events import Stop, TextDelta
from services.ocr.base import AttemptClock, ReaderCard, ReaderSpec, Reading, ReadRequest
from services.wire.side_process import SideProcess

PACKAGES = ("rapidocr", "onnxruntime")
LONGEST_S = 120.0


@dataclass(frozen=True, slots=True)
class LocalOcrSettings:
    """Reading pictures on this machine."""

    memory_mb: int = config.setting(
        1536, "Memory in MB that the process which reads pictures may take.", env="LOCAL_OCR_MEMORY_MB", minimum=768
    )
    idle_s: float = config.setting(
        120.0, "Seconds after which that process ends when nobody asks.", env="LOCAL_OCR_IDLE_S", minimum=1
    )


def is_installed() -> bool:
    """Whether its packages are there; `./run --slim` leaves them out."""
    return all(importlib.util.find_spec(name) is not None for name in PACKAGES)


class LocalOcr:
    """One picture at a time; the others wait in line."""

    def __init__(self, settings: LocalOcrSettings, installed: Callable[[], bool] = is_installed) -> None:
        self.process = SideProcess(
            "services.ocr.local_reader", memory_mb=settings.memory_mb, idle_s=settings.idle_s, job_s=LONGEST_S
        )
        self._card = ReaderCard(
            id="local-ocr",
            name="Local OCR 本地识别",
            provider="local",
            vendor_model="rapidocr",
            tasks=("ocr",),
            available=installed(),
            paid=False,
        )

    def readers(self) -> tuple[ReaderCard, ...]:
        return (self._card,)

    def read(self, request: ReadRequest, clock: AttemptClock) -> Reading:
        regions: list[dict[str, Any]] = []
        with closing(self.process.run({"task": request.task}, request.data)) as lines:
            try:
                for line, _ in lines:
                    yield TextDelta(("\n" if regions else "") + line["text"])
                    regions.append(line)
            except Internal as error:
                raise VendorOverloaded("The reader on this server failed; try again.") from error
        yield Stop("stop", result={"regions": regions})

    @property
    def resident_bytes(self) -> int:
        """What the process holds now."""
        return self.process.resident_bytes

    def close(self) -> None:
        self.process.close()


SPEC = ReaderSpec(name="local", settings=LocalOcrSettings, prefix="LOCAL_OCR", build=LocalOcr, order=10)
