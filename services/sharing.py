"""What the workers of one server count together: through Redis where there is one, else each worker for itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import redis

from config import Settings, TurnSettings
from services.accounts.credentials import Credentials
from services.accounts.first_come import FirstCome
from services.accounts.shared_first_come import SharedFirstCome
from services.accounts.shared_throttle import SharedLoginThrottle
from services.accounts.throttle import LoginThrottle
from services.clock import Clock
from services.ids import digest
from services.notes import Notes
from services.providers.breaker import Breaker
from services.providers.shared_breaker import BreakerBoard
from services.quota.rate_limit import RateLimit
from services.quota.shared_rate_limit import SharedRateLimit
from services.turns.admission import Admission
from services.turns.places import Places
from services.turns.shared_places import SharedPlaces
from services.wire.bulletin import Bulletin
from services.wire.redis_gate import LIMIT_S, RedisGate
from services.wire.redis_link import RedisLink

logger = logging.getLogger(__name__)


class Sharing:
    """Makes limits, throttles and breakers; an edge asks it for those of its own.

    Attributes:
        link: To Redis, with the short limits of what can do without it; None where there is no Redis.
        bulletin: What the workers tell each other; None likewise.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        address = settings.redis.address
        self.link = RedisLink(address, settings.redis.prefix, timeout_s=LIMIT_S) if address else None
        self._is_limited = settings.server.rate_limit_enabled
        self._clock = clock
        self._gate = RedisGate(self.link) if self.link is not None else None
        self._board = BreakerBoard(self._gate, clock) if self._gate is not None else None
        self.bulletin = Bulletin(self.link) if self.link is not None else None
        self._places: Places = SharedPlaces(self._gate, clock) if self._gate is not None else Places()

    def rate_limit(self, name: str, *, per_minute: float, burst: int) -> RateLimit | None:
        """A token bucket a key; None where limits are off. `name` is the same in every worker, and no other's."""
        if not self._is_limited:
            return None
        if self._gate is None:
            return RateLimit(self._clock, per_minute=per_minute, burst=burst)
        return SharedRateLimit(self._gate, self._clock, name=name, per_minute=per_minute, burst=burst)

    def throttle(self, name: str) -> LoginThrottle | None:
        """For one door where passwords are asked; None where limits are off."""
        if not self._is_limited:
            return None
        return (
            LoginThrottle(self._clock)
            if self._gate is None
            else SharedLoginThrottle(self._gate, self._clock, name=name)
        )

    def first_come(self, name: str, *, life_s: float) -> FirstCome:
        """Who brought a thing first; `name` tells its kind from others."""
        if self._gate is None:
            return FirstCome(self._clock, life_s=life_s)
        return SharedFirstCome(self._gate, self._clock, name=name, life_s=life_s)

    def admission(self, settings: TurnSettings) -> Admission:
        """Of turns. Call it once."""
        a_minute = settings.starts_per_minute
        starts = self.rate_limit("starts", per_minute=a_minute, burst=a_minute)
        return Admission(
            starts=starts, max_running=settings.max_running, places=self._places if self._is_limited else Places()
        )

    @property
    def breaker(self) -> Callable[[str], Breaker]:
        """Makes the breaker of a provider."""
        return self._board.breaker if self._board is not None else lambda name: Breaker(clock=self._clock)

    def join(self, notes: Notes, *credentials: Credentials[Any]) -> None:
        """Have notes reach a user's devices on every worker, and revoked credentials end there at once."""
        bulletin = self.bulletin
        if bulletin is None:
            return
        notes.tell_others(partial(bulletin.post, "note"))
        bulletin.subscribe("note", notes.hear)
        for each in credentials:
            each.tell_others(partial(bulletin.post, f"revoked {each.kind}"))
            bulletin.subscribe(f"revoked {each.kind}", each.hear)

    def compare_secrets(self, secret: str) -> None:
        """Have it logged when another worker signs with another secret: what it signs is refused here.

        Workers tell each other a few bits of a digest, enough to see a difference and too few to guess by.
        """
        bulletin, ours = self.bulletin, digest(f"compared\n{secret}")[:5]
        if bulletin is None:
            return
        told: set[str] = set()

        def hear(said: dict[str, Any]) -> None:
            theirs = str(said.get("secret"))
            if theirs == ours or theirs in told or len(told) > 10:
                return
            told.add(theirs)
            logger.error(
                "another server at this Redis has another secret: give all of them the same FLASK_SECRET_KEY,"
                " or people are signed out wherever they come to the other"
            )
            bulletin.post("secret", {"secret": ours})  # so that it says so, too

        bulletin.subscribe("secret", hear)
        bulletin.post("secret", {"secret": ours})

    @property
    def is_shared(self) -> bool:
        """Whether limits and breakers are all workers' now; False where there is no Redis."""
        return self._gate is not None and self._gate.is_open

    @property
    def waiting(self) -> int:
        """Notes that wait for Redis."""
        return self.bulletin.waiting if self.bulletin is not None else 0

    def redis_answers(self) -> bool:
        """One trip to Redis, for readiness; True where there is none."""
        if self.link is None:
            return True
        try:
            return bool(self.link.ask(lambda client: client.ping()))
        except redis.RedisError:
            return False

    def close(self) -> None:
        """Give back what is held, then let Redis go."""
        self._places.close()
        if self.bulletin is not None:
            self.bulletin.close()
        if self._board is not None:
            self._board.close()
        if self._gate is not None:
            self._gate.close()
        if self.link is not None:
            self.link.close()
