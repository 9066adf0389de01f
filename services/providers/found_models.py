"""Models that a server near us is asked for, in the background."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import gevent
import orjson

from services.clock import Clock, SystemClock
from services.errors import VendorError
from services.providers.base import ModelCard
from services.providers.vendor_faults import FaultMap
from services.wire.http_client import HttpClient

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 30.0
PROBE_S = 0.3
MAX_LIST_BYTES = 1_048_576
_UNREADABLE = (orjson.JSONDecodeError, LookupError, TypeError, AttributeError)
FORGOTTEN_AFTER = 3  # failed looks in a row; one slow answer of a busy machine is no reason


class FoundModels:
    """What a server lists, looked up again when someone asks and the last look is old. Never waits."""

    def __init__(
        self,
        http: HttpClient,
        url: str,
        headers: Callable[[], dict[str, str]],
        read: Callable[[object], tuple[ModelCard, ...]],
        *,
        clock: Clock | None = None,
    ) -> None:
        """`read` makes cards of the decoded list; it may raise `LookupError`, `TypeError` or `AttributeError`."""
        self._http = http
        self._url = url
        self._headers = headers
        self._read = read
        self._clock = clock or SystemClock()
        self._cards: tuple[ModelCard, ...] = ()
        self._looked_at = -LOOK_AGAIN_S
        self._failures = 0
        self._look: gevent.Greenlet | None = None

    def cards(self) -> tuple[ModelCard, ...]:
        """What is known now; starts a look when that is old."""
        now = self._clock.monotonic()
        if self._look is None and now - self._looked_at >= LOOK_AGAIN_S:
            self._looked_at = now
            self._look = gevent.spawn(self._find)
        return self._cards

    def wait(self, timeout_s: float) -> None:
        """Wait for the look that runs, if one does."""
        if self._look is not None:
            self._look.join(timeout_s)

    def close(self) -> None:
        if self._look is not None:
            self._look.kill()

    def find(self, faults: FaultMap) -> tuple[ModelCard, ...]:
        """Look now, and wait for it as long as the caller does.

        Raises:
            VendorError: As `faults` read the answer, or because there was none.
        """
        status, headers, body = self._get()
        if status != 200:
            raise faults.of_response(status, headers, body)
        try:
            return self._read(orjson.loads(body))
        except _UNREADABLE as error:
            raise faults.of_page(body) from error

    def _find(self) -> None:
        try:
            with gevent.Timeout(PROBE_S):
                status, _, body = self._get()
            if status != 200:
                raise LookupError(status)
            found = self._read(orjson.loads(body))
        except (VendorError, gevent.Timeout, *_UNREADABLE) as error:
            self._failures += 1
            log.debug("no models found at %s: %s", self._url, type(error).__name__)
            if self._failures >= FORGOTTEN_AFTER:
                self._cards = ()
        else:
            self._failures = 0
            if found != self._cards:
                log.info("%d models found at %s", len(found), self._url)
            self._cards = found
        finally:
            self._look = None

    def _get(self) -> tuple[int, Mapping[str, str], bytes]:
        with self._http.request("GET", self._url, headers=self._headers()) as response:
            return response.status, response.headers, response.read_up_to(MAX_LIST_BYTES)
