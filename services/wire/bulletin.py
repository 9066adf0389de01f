"""What one worker tells all others: small notes through a stream in Redis, which each reads from where it stopped."""

from __future__ import annotations

import json
import logging
import random
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
import redis
from gevent.event import Event

from services.ids import new_id

from .redis_link import RedisLink

logger = logging.getLogger(__name__)

KEPT = 2_000
"""Notes in the stream, roughly: what a worker may miss while it does not hear, and still be told."""
MAX_WAITING = 5_000
"""Notes that wait for Redis here; the oldest goes first."""
MAX_CHARS = 16_384
AT_ONCE = 100
LONGEST_WAIT_S = 1.0

Hear = Callable[[dict[str, Any]], None]


class Bulletin:
    """Notes between workers, each under a topic. A note may come twice; whoever listens must bear that.

    A stream and not Redis' publish: a worker that was cut off for a moment reads what it missed. What comes is
    what anybody wrote who may write to Redis: everything but a topic that is listened to, with an object of at most
    `MAX_CHARS`, is passed over, and the listener looks at the object itself.

    State of this process: `_waiting`, touched without a yield.
    """

    def __init__(self, link: RedisLink) -> None:
        """Reads and writes nothing before the first `subscribe` or `post`."""
        self._link = link
        self._partition = link.partition("bulletin")
        self._key = link.key(self._partition, "bulletin")
        self._worker = new_id("w")
        self._hears: dict[str, Hear] = {}
        self._waiting: deque[dict[str, str]] = deque(maxlen=MAX_WAITING)
        self._news = Event()
        self._last: str | None = None
        self._failing: set[str] = set()
        self._reading: gevent.Greenlet | None = None
        self._writing: gevent.Greenlet | None = None
        self.hearing = Event()
        """Set once this worker hears."""

    def subscribe(self, topic: str, hear: Hear) -> None:
        """Have `hear` called with what other workers post under `topic`. It must not wait."""
        self._hears[topic] = hear
        if self._reading is None:
            self._reading = gevent.spawn(self._read_on)

    def post(self, topic: str, said: dict[str, Any]) -> None:
        """Tell every other worker; JSON only. Never yields: it is written behind the caller's back."""
        self._waiting.append({"from": self._worker, "topic": topic, "said": json.dumps(said, allow_nan=False)})
        self._news.set()
        if self._writing is None:
            self._writing = gevent.spawn(self._write_on)

    @property
    def waiting(self) -> int:
        """Notes that Redis has not taken yet."""
        return len(self._waiting)

    def close(self) -> None:
        """Stop. What is still waiting is given one more try."""
        for greenlet in (self._reading, self._writing):
            if greenlet is not None:
                greenlet.kill()
        try:
            while self._waiting:
                self._write()
        except redis.RedisError as error:
            logger.warning("%d notes to other workers are lost: %s", len(self._waiting), error)

    def _write_on(self) -> None:
        wait_s = 0.0
        while True:
            self._news.wait()
            self._news.clear()
            while self._waiting:
                try:
                    self._write()
                except redis.RedisError as error:
                    if wait_s:  # once alone may be this process that stood still
                        self._failed("telling", error)
                    wait_s = _longer(wait_s)
                    gevent.sleep(wait_s)
                else:
                    self._works("telling")
                    wait_s = 0.0

    def _write(self) -> None:
        """The oldest that wait. They are taken away once they are written; some may go meanwhile, for want of room."""
        batch = [self._waiting[at] for at in range(min(AT_ONCE, len(self._waiting)))]

        def add(client: Any) -> None:
            pipeline = client.pipeline(transaction=False)
            for note in batch:
                pipeline.xadd(self._key, note, maxlen=KEPT, approximate=True)
            pipeline.execute()

        self._link.ask(add)
        for note in batch:
            if self._waiting and self._waiting[0] is note:
                self._waiting.popleft()

    def _read_on(self) -> None:
        wait_s = 0.0
        while True:
            try:
                if self._last is None:
                    self._last = self._newest()
                    self.hearing.set()
                elif wait_s and _order(self._newest()) < _order(self._last):
                    self._last = "0-0"  # Redis has lost the stream, and its clock may be behind
                for _, entries in self._link.follow({self._key: self._last}, AT_ONCE):
                    self._last = entries[-1][0]
                    for _, fields in entries:
                        self._hear(dict(zip(fields[::2], fields[1::2], strict=False)))
            except redis.RedisError as error:
                if wait_s:
                    self._failed("hearing", error)
                wait_s = _longer(wait_s)
                gevent.sleep(wait_s)
            else:
                self._works("hearing")
                wait_s = 0.0

    def _newest(self) -> str:
        found: list[Any] = self._link.ask(lambda client: client.xrevrange(self._key, count=1))
        return str(found[0][0].decode()) if found else "0-0"

    def _hear(self, note: dict[bytes, bytes]) -> None:
        hear = self._hears.get(note.get(b"topic", b"").decode(errors="replace"))
        text = note.get(b"said", b"")
        if hear is None or note.get(b"from") == self._worker.encode() or len(text) > MAX_CHARS:
            return
        try:
            said = json.loads(text)
            if isinstance(said, dict):
                hear(said)
        except (ValueError, RecursionError):
            logger.debug("a note to the workers is not JSON")
        except Exception:
            logger.exception("a note of another worker could not be taken")

    def _failed(self, what: str, error: Exception) -> None:
        if what not in self._failing:
            self._failing.add(what)
            logger.warning("%s other workers waits for Redis: %s", what, error)

    def _works(self, what: str) -> None:
        if what in self._failing:
            self._failing.discard(what)
            logger.warning("%s other workers works again", what)


def _longer(wait_s: float) -> float:
    return min(LONGEST_WAIT_S, wait_s * 2 + 0.05) * random.uniform(0.5, 1.0)


def _order(entry: str) -> tuple[int, int]:
    ms, _, number = entry.partition("-")
    return int(ms), int(number)
