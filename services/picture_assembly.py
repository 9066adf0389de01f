"""Builds everything that has to do with pictures: who reads, who draws, where they are kept, and their turns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from config import Settings, read
from db.unit_of_work import UnitOfWork
from services.clock import Clock
from services.discovery import collect
from services.images.base import PainterSpec
from services.images.catalogue import Painters
from services.ocr.base import ReaderSpec
from services.ocr.catalogue import Readers
from services.pictures.store import Pictures
from services.pictures.uploads import Uploads
from services.providers.catalogue import Catalogue, with_proxies
from services.telemetry.metrics import Metrics
from services.turns.bare import BareTurns
from services.turns.image import ImageTurns
from services.turns.picture import PictureTurns
from services.turns.seeing import Seeing
from services.turns.turns import Turns
from services.wire.dial import DialSettings
from services.wire.fetching import Fetcher
from services.wire.side_process import SideProcess

RECODER_MEMORY_MB = 1_024
"""Forty megapixels in four bytes each, twice while they are turned, and what libraries take besides."""


@dataclass(frozen=True, slots=True)
class PictureServices:
    """What the edges may use."""

    store: Pictures
    uploads: Uploads
    readers: Readers
    painters: Painters
    reading: PictureTurns
    drawing: ImageTurns
    fetcher: Fetcher


def build_store(settings: Settings, uow: UnitOfWork, clock: Clock, metrics: Metrics, stack: ExitStack) -> Pictures:
    """The store, with the process that decodes for it."""
    recoder = SideProcess("services.pictures.recoding", memory_mb=RECODER_MEMORY_MB)
    stack.callback(recoder.close)
    metrics.gauge(
        "parley_picture_process_bytes", "Memory of the process that decodes pictures.", lambda: recoder.resident_bytes
    )
    return Pictures(
        uow=uow,
        clock=clock,
        folder=settings.server.data_dir / "pictures",
        recoder=recoder,
        most_bytes_per_user=settings.pictures.storage_mb * 1_048_576,
    )


def build_pictures(
    *,
    store: Pictures,
    catalogue: Catalogue,
    env: Mapping[str, str],
    turns: Turns,
    bare: BareTurns,
    uploads_folder: Path,
    uow: UnitOfWork,
    clock: Clock,
    metrics: Metrics,
    stack: ExitStack,
    reader_specs: Iterable[ReaderSpec] | None = None,
    painter_specs: Iterable[PainterSpec] | None = None,
) -> PictureServices:
    """Everything else.

    Args:
        reader_specs, painter_specs: None for every one that `services.ocr` and `services.images` register.

    Raises:
        config.ConfigError: A setting is wrong.
    """
    readers = Readers(
        collect("services.ocr", ReaderSpec) if reader_specs is None else reader_specs, env, Seeing(catalogue)
    )
    stack.callback(readers.close)
    painters = Painters(collect("services.images", PainterSpec) if painter_specs is None else painter_specs, env)
    stack.callback(painters.close)
    metrics.gauge(
        "parley_ocr_process_bytes", "Memory of the process that reads pictures.", lambda: readers.resident_bytes
    )
    fetcher = Fetcher(read(DialSettings, with_proxies(env)), home="")
    stack.callback(fetcher.close)
    uploads = Uploads(store, clock, uploads_folder)
    metrics.gauge("parley_upload_bytes", "Bytes announced by uploads under way.", lambda: uploads.announced_bytes)
    return PictureServices(
        store=store,
        uploads=uploads,
        readers=readers,
        painters=painters,
        reading=PictureTurns(turns=turns, bare=bare, readers=readers, pictures=store, uploads=uploads, uow=uow),
        drawing=ImageTurns(turns=turns, bare=bare, painters=painters, pictures=store, uow=uow),
        fetcher=fetcher,
    )
