"""The demo painter: local, keyless, honest. It draws a placeholder that says that it is one."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256

import config
from services.errors import Internal, VendorOverloaded
from services.events import StateChanged
from services.images.base import Drawing, DrawRequest, PainterCard, PainterSpec
from services.wire.side_process import SideProcess

MEMORY_MB = 512


@dataclass(frozen=True, slots=True)
class DemoDrawingSettings:
    """The demo painter."""

    font: str = config.setting(
        "",
        "Font file with which the demo painter writes Chinese; empty for one of the system's.",
        env="DEMO_DRAWING_FONT",
    )


class DemoDrawing:
    """Colours by the prompt, the prompt written over them, and what this is."""

    def __init__(self, settings: DemoDrawingSettings) -> None:
        self.process = SideProcess("services.images.demo_easel", memory_mb=MEMORY_MB)
        self._font = settings.font
        self._card = PainterCard("demo-drawing", "Demo 演示画板", "demo", "demo-drawing", (512, 512))

    def painters(self) -> tuple[PainterCard, ...]:
        return (self._card,)

    def draw(self, request: DrawRequest) -> Generator[StateChanged | Drawing, None, None]:
        """The same prompt gives the same pictures."""
        job = {
            "prompt": request.prompt,
            "width": request.width,
            "height": request.height,
            "count": request.count,
            "seed": sha256(request.prompt.encode()).hexdigest(),
            "font": self._font,
        }
        done = 0
        try:
            with closing(self.process.run(job)) as drawings:
                for _, data in drawings:
                    done += 1
                    yield Drawing(data)
                    yield StateChanged("thinking", progress=done / request.count)
        except Internal as error:
            raise VendorOverloaded("The demo painter failed; try again.") from error

    def close(self) -> None:
        self.process.close()


SPEC = PainterSpec(name="demo", settings=DemoDrawingSettings, prefix="DEMO_DRAWING", build=DemoDrawing, order=1000)
