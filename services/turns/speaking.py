"""Answers that are read aloud on this worker: who listens to which, and what was heard of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import gevent
from prometheus_client import Counter
from sqlalchemy import update

from db.errors import DatabaseBusy
from db.models import Message, Turn
from db.unit_of_work import UnitOfWork
from services.clock import Clock
from services.errors import NotFound
from services.identity import Identity
from services.synthesis.catalogue import Voices
from services.telemetry.metrics import Metrics
from services.turns.following import Following
from services.turns.speak_request import SpeakRequest
from services.turns.speech import Listener, Speech

logger = logging.getLogger(__name__)

KEPT_S = 60.0
"""How long after its end one may still say how far an answer was heard: what was sent ahead is played till then."""
NO_VOICE = "Answers cannot be read aloud here: no voice is available. The text comes all the same."


class Speaking:
    """Shared state: `_speeches`, by turn; read and written without a yield in between."""

    def __init__(self, *, voices: Voices, uow: UnitOfWork, clock: Clock, metrics: Metrics) -> None:
        self.voices = voices
        self._uow = uow
        self._clock = clock
        self._speeches: dict[str, Speech] = {}
        self._seconds = Counter(
            "parley_spoken_seconds", "Seconds of answers read aloud.", [], registry=metrics.registry
        )
        metrics.gauge("parley_speeches", "Answers that are being read aloud.", lambda: self.running)

    @property
    def running(self) -> int:
        return sum(not speech.reason for speech in self._speeches.values())

    def told(self, request: SpeakRequest) -> dict[str, Any]:
        """What the acknowledgement says of the voice: which one it will be, or why there is none.

        Raises:
            ModelUnknown: There is no such voice.
        """
        if (found := self.voices.find(request.voice)) is None:
            return {"voice": None, "note": NO_VOICE}
        return {"voice": found[1].id, "note": found[1].note}

    def begin(
        self, user_id: str, following: Following, request: SpeakRequest, listeners: Mapping[str, Listener]
    ) -> None:
        """Read an answer to these connections while it is written. Does nothing without a voice. Never yields."""
        found = self.voices.find(request.voice)
        if found is None or not listeners or following.log.turn_id in self._speeches:
            return
        synthesiser, card = found
        speech = Speech(
            following.log,
            user_id=user_id,
            message=following.message,
            synthesiser=synthesiser,
            voice=card.id,
            rate=request.rate,
            clock=self._clock,
            on_over=self._over,
        )
        speech.listeners.update(listeners)
        self._speeches[speech.turn_id] = speech
        speech.start()

    def hush(self, identity: Identity, turn_id: str, key: str, heard_ms: float | None) -> int | None:
        """A connection listens no more.

        Returns:
            Code points of the answer that were heard; None when all that was said was.

        Raises:
            NotFound: Nothing of that turn is, or was lately, read aloud here.
        """
        speech = self._speeches.get(turn_id)
        if speech is None or speech.user_id != identity.user_id:
            raise NotFound("This answer is not being read aloud.", field="turn")
        known, was_over = speech.heard_chars, bool(speech.reason)
        chars = speech.leave(key, heard_ms)
        if was_over and chars != known:
            self._note(speech, 0)
        return chars

    def leave(self, key: str) -> None:
        """The connection has gone, or its person speaks again: it hears nothing more."""
        for speech in list(self._speeches.values()):
            if key in speech.listeners and not speech.reason:
                speech.leave(key, None)

    def close(self) -> None:
        for speech in list(self._speeches.values()):
            speech.stop("stopped")

    def _over(self, speech: Speech) -> None:
        self._seconds.inc(speech.ms / 1000)
        gevent.spawn(self._note, speech, round(speech.ms))
        gevent.spawn_later(KEPT_S, self._speeches.pop, speech.turn_id, None)

    def _note(self, speech: Speech, ms: int) -> None:
        """Write what was said, and how far it was heard, into the turn's row and its message's."""
        heard = speech.heard_chars

        def write(session: Any) -> None:
            if ms:
                session.execute(update(Turn).where(Turn.id == speech.turn_id).values(spoken_ms=Turn.spoken_ms + ms))
            if heard is not None:
                session.execute(update(Message).where(Message.id == speech.message).values(heard_chars=heard))

        try:
            self._uow.run(write)
        except DatabaseBusy as busy:
            logger.warning("what was said of turn %s is not noted: %s", speech.turn_id, busy)
