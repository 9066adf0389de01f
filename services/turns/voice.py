"""Voice turns: sound comes in while its transcript goes out; the transcript may become a question."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import gevent
from gevent.event import Event
from prometheus_client import Counter
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from config import VoiceSettings
from db.models import Turn
from db.unit_of_work import UnitOfWork
from services.clock import Clock
from services.errors import ChatError, Conflict, InvalidRequest, ServerBusy
from services.events import AnswerStarted, Stop, TranscriptFinal, TranscriptPartial, TurnEnded, Usage
from services.faults import refusal_of
from services.identity import Identity
from services.ids import new_id
from services.notes import Notes
from services.relay.log import Overtaken
from services.relay.runner import Outcome, ProviderEvent
from services.relay.watchdog import Limits
from services.speech.base import Recogniser, SpeechCard, SpeechRequest
from services.speech.catalogue import Recognisers, base_of
from services.speech.joining import joined
from services.telemetry.metrics import Metrics
from services.turns.admission import Admission
from services.turns.bare import Unmetered
from services.turns.following import Following
from services.turns.handing import Handing
from services.turns.order import VoiceOrder
from services.turns.records import free_old_name
from services.turns.request import TextRequest
from services.turns.running import Launch, RunningTurn
from services.turns.settlement import Settlement
from services.turns.text import TextTurns
from services.turns.turns import START, Turns
from services.turns.voice_request import AnswerRequest, VoiceRequest
from services.turns.voice_session import VoiceSession

logger = logging.getLogger(__name__)

FINISH_S = 30.0
"""How long a recogniser may go on after the sound has ended; those of vendors have shorter limits of their own."""

LONGEST_QUESTION = 32_000

PATIENCE_MS = 30_000
"""How long an utterance whose worker has gone waits for its speaker to come to another one."""
COMING_S = 15.0

OnAnswer = Callable[[str, Following, AnswerRequest], None]
"""Told the voice turn's id, the text turn that answers it, and what was asked of the answer. Must not yield."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """What one voice turn is made of."""

    identity: Identity
    request: VoiceRequest
    session: VoiceSession
    recogniser: Recogniser
    card: SpeechCard
    heard: str = ""
    """What another worker's recogniser heard of it before."""


class VoiceTurns:
    """Starts voice turns; `Turns` runs them.

    Attributes:
        sessions: Of the turns that run here, by turn. A frame's way begins with a look into it.
    """

    CHECK_S = 1.0

    def __init__(
        self,
        *,
        turns: Turns,
        text_turns: TextTurns,
        recognisers: Recognisers,
        uow: UnitOfWork,
        settlement: Settlement,
        admission: Admission,
        clock: Clock,
        settings: VoiceSettings,
        metrics: Metrics,
        owner: str,
        notes: Notes,
    ) -> None:
        self.sessions: dict[str, VoiceSession] = {}
        self._turns = turns
        self._text_turns = text_turns
        self._recognisers = recognisers
        self._uow = uow
        self._settlement = settlement
        self._admission = admission
        self._clock = clock
        self._settings = settings
        self._owner = owner
        self._notes = notes
        self._running: dict[str, RunningTurn] = {}
        self._on_answer: list[OnAnswer] = []
        self._checking: gevent.Greenlet | None = None
        self._leaving: dict[str, str] = {}
        self._coming: dict[str, Event] = {}
        if turns.handing is not None:
            turns.handing.on_wanted(self._wanted)
        self._seconds = Counter(
            "parley_speech_seconds", "Seconds of sound taken, by recogniser.", ["model"], registry=metrics.registry
        )
        metrics.gauge(
            "parley_speech_engine_bytes", "Memory of recognisers' processes.", lambda: recognisers.resident_bytes
        )
        metrics.gauge(
            "parley_speech_waiting_seconds",
            "Sound that waits for recognisers.",
            lambda: sum(session.waiting_ms for session in self.sessions.values()) / 1000,
        )

    def start(self, identity: Identity, request: VoiceRequest) -> tuple[Following, int]:
        """Begin an utterance, or go on with the one this `client_id` means.

        Returns:
            The turn, and the first byte it has not taken yet.

        Raises:
            ChatError: Refused; nothing was stored, and the `client_id` is free.
        """
        following = self._turns.once(identity, request.client_id, lambda: self._begin(identity, request))
        turn_id = following.log.turn_id
        handing = self._turns.handing
        if (
            handing is not None
            and following.log.ended is None
            and turn_id not in self.sessions
            and not following.message
        ):
            self._bring_here(handing, identity, request, turn_id)
            following = self._turns.attach(identity, turn_id, START)
        return following, self._next(following)

    def session(self, identity: Identity, turn_id: str) -> VoiceSession | None:
        """The user's utterance while it is taken in; None for any other turn."""
        session = self.sessions.get(turn_id)
        return session if session is not None and session.user_id == identity.user_id else None

    def finish(self, identity: Identity, turn_id: str, at: int) -> int:
        """The client has sent `at` bytes in all, and no more will come.

        Returns:
            The first byte not taken. Less than `at`: bytes are missing, and the utterance goes on.

        Raises:
            NotFound: No such voice turn.
            InvalidRequest: `at` is less than what was taken.
        """
        session = self.session(identity, turn_id)
        if session is None:
            return self._next(self._turns.attach(identity, turn_id, START))
        if at < session.next and not session.ended_at:
            raise InvalidRequest("More bytes were taken than at says.", field="at")
        if at <= session.next:
            session.end("client")
        return session.next

    def cancel(self, identity: Identity, turn_id: str) -> None:
        """End the turn at once; what was final of the transcript is kept."""
        self._turns.stop(identity, turn_id=turn_id)

    def subscribe(self, on_answer: OnAnswer) -> None:
        """Have transcripts that become questions told."""
        self._on_answer.append(on_answer)

    def check(self) -> None:
        """End utterances whose speaker has gone, and turns whose recogniser does not finish. Never yields."""
        now = self._clock.monotonic()
        for turn_id, session in list(self.sessions.items()):
            if not session.ended_at:
                if now - session.fed_at >= self._settings.idle_s:
                    session.end("idle")
            elif now - session.ended_at >= FINISH_S and (running := self._running.get(turn_id)) is not None:
                running.runner.late("piece")
            if (running := self._running.get(turn_id)) is not None:
                running.bring_up_to_date()

    def close(self) -> None:
        if self._checking is not None:
            self._checking.kill()

    def _begin(self, identity: Identity, request: VoiceRequest) -> RunningTurn | None:
        recogniser, card = self._recognisers.find(request.model, language=request.language, rate=request.rate)
        turn_id = new_id("t")
        self._admission.enter(identity.user_id)
        try:
            self._uow.run(lambda session: self._store(session, identity, request, turn_id, card))
        except BaseException as error:
            self._admission.leave(identity.user_id)
            if isinstance(error, IntegrityError):
                return None  # another process was quicker with this client_id
            raise
        opened = self._open(identity, request, turn_id, recogniser, card)
        running = self._running[turn_id] = self._turns.launch(self._launch(opened))
        if request.is_live:
            self._notes.voice_started(identity.user_id, turn=turn_id, client_id=request.client_id)
        return running

    def _open(
        self,
        identity: Identity,
        request: VoiceRequest,
        turn_id: str,
        recogniser: Recogniser,
        card: SpeechCard,
        *,
        start: int = 0,
        heard: str = "",
    ) -> _Opened:
        session = VoiceSession(
            turn_id,
            identity.user_id,
            rate=request.rate,
            settings=self._settings,
            clock=self._clock,
            is_live=request.is_live,
            start=start,
        )
        self.sessions[turn_id] = session
        if self._checking is None:
            self._checking = gevent.spawn(self._keep_checking)
        return _Opened(identity, request, session, recogniser, card, heard)

    def _bring_here(self, handing: Handing, identity: Identity, request: VoiceRequest, turn_id: str) -> None:
        """The speaker has come back to another worker than the one that took the sound so far: go on with it here.

        The other one has its recogniser hear to the end what it has taken, and gives the turn away with the first
        byte it has not taken. One that died has told that byte every second; what its recogniser had not said is lost.

        Raises:
            ServerBusy: The other worker does not let go of it now, or the turn is just ending.
        """
        if (moving := self._coming.get(turn_id)) is not None:
            moving.wait(COMING_S)
            return
        moving = self._coming[turn_id] = Event()
        try:
            log = handing.fetch(turn_id)
            if log is None:
                if self._turns.attach(identity, turn_id, START).log.ended is None:
                    raise ServerBusy("This utterance is still with another server; try again.", retry_after_s=1)
                return
            taken = VoiceOrder.unpacked(log.order)
            request = replace(request, rate=taken.rate, model=taken.model)
            recogniser, card = self._recognisers.find(request.model, language=request.language, rate=request.rate)
            opened = self._open(identity, request, turn_id, recogniser, card, start=taken.next, heard=log.answer())
            log.rewind(log.offset)
            self._running[turn_id] = self._turns.resume(self._launch(opened), log, goes_on=True)
        finally:
            del self._coming[turn_id]
            moving.set()

    def _wanted(self, turn_id: str, worker: str) -> None:
        """Another worker wants to go on with an utterance: let its recogniser finish what it has, then give it."""
        session = self.sessions.get(turn_id)
        if session is not None and not session.ended_at:
            self._leaving[turn_id] = worker
            session.end("moved")

    def _store(
        self, session: Session, identity: Identity, request: VoiceRequest, turn_id: str, card: SpeechCard
    ) -> None:
        now_ms = self._clock.now_ms()
        free_old_name(session, identity.user_id, request.client_id, now_ms)
        session.add(
            Turn(
                id=turn_id,
                user_id=identity.user_id,
                client_id=request.client_id,
                kind="voice",
                conversation_id="",
                message_id="",
                model=card.id,
                status="running",
                owner=self._owner,
                created_ms=now_ms,
            )
        )
        session.flush()

    def _launch(self, opened: _Opened) -> Launch:
        session = opened.session
        told: dict[str, Any] = {"model": opened.card.id}
        if opened.card.note:
            told["note"] = opened.card.note

        def over() -> None:
            session.end("turn")
            del self.sessions[session.turn_id], self._running[session.turn_id]

        def settle(outcome: Outcome) -> TurnEnded:
            over()
            self._seconds.labels(opened.card.id).inc(session.audio_ms / 1000)
            result = {
                **told, "bytes": session.next, "audio_ms": session.audio_ms, "ended_by": session.ended_by
            }  # fmt: skip
            usage = Usage(audio_ms=session.audio_ms)
            return self._settlement.settle(session.turn_id, replace(outcome, usage=usage, result=result))

        def order() -> bytes:
            return VoiceOrder(session.next, session.rate, opened.card.id).packed()

        # People may be silent as long as the session's own limits let them; `check` sees to the rest.
        longest_s = 2 * self._settings.max_s + self._settings.idle_s + FINISH_S
        return Launch(
            user_id=opened.identity.user_id,
            turn_id=session.turn_id,
            conversation="",
            message="",
            stream=lambda deadline: self._stream(opened, told),
            meter=Unmetered(),
            settle=settle,
            limits=Limits(math.inf, math.inf, longest_s),
            order=order(),
            order_now=order,
            patience_ms=PATIENCE_MS,
            on_left=over,
        )

    def _stream(self, opened: _Opened, told: dict[str, Any]) -> Iterator[ProviderEvent]:
        """The turn's entries: what is heard, and the answer's beginning."""
        request, session = opened.request, opened.session
        language = base_of(request.language) if request.language is not None else None
        heard = opened.recogniser.listen(session, SpeechRequest(opened.card.vendor_model, language))
        text, shown, before_ms = opened.heard, "", session.started_ms
        try:
            for event in heard:
                if isinstance(event, TranscriptFinal):
                    if piece := joined(text, event.text):
                        text += piece
                        shown = ""
                        start_ms, end_ms = event.start_ms + before_ms, event.end_ms + before_ms
                        yield TranscriptFinal(piece, start_ms, end_ms)
                elif isinstance(event, TranscriptPartial):
                    if (piece := joined(text, event.text)) != shown:
                        shown = piece
                        yield TranscriptPartial(piece)
                else:
                    break
        finally:
            heard.close()
        handing, worker = self._turns.handing, self._leaving.pop(session.turn_id, None)
        if handing is not None and worker is not None:
            gevent.spawn(handing.give, self._running[session.turn_id], worker)
            raise Overtaken(session.turn_id)
        session.end("recogniser")
        if request.answer is not None and text.strip():
            following = self._ask(opened, text.strip(), told)
            if following is not None:
                yield AnswerStarted(following.log.turn_id)
                for callback in self._on_answer:
                    callback(session.turn_id, following, request.answer)
        yield Stop("length" if session.ended_by == "length" else "stop", Usage())

    def _ask(self, opened: _Opened, text: str, told: dict[str, Any]) -> Following | None:
        """Start the text turn; None when it was refused, which is told in the voice turn's ending.

        In a greenlet of its own: this one may be thrown into at any wait, and a transaction must not be.
        """
        job = gevent.spawn(self._start_answer, opened, text)
        try:
            outcome: Following | ChatError = job.get()
        except BaseException:
            gevent.spawn(self._take_back, opened.identity, job)
            raise
        if isinstance(outcome, ChatError):
            told["answer_error"] = outcome.to_wire()
            return None
        return outcome

    def _start_answer(self, opened: _Opened, text: str) -> Following | ChatError:
        answer, turn_id = opened.request.answer, opened.session.turn_id
        assert answer is not None
        request = TextRequest(turn_id, text[:LONGEST_QUESTION], conversation=answer.conversation, model=answer.model)
        try:
            return self._text_turns.start(opened.identity, request)
        except Exception as error:  # noqa: BLE001 - the top of a greenlet: the transcript is good all the same
            return refusal_of(error, "answering a transcript")

    def _take_back(self, identity: Identity, job: gevent.Greenlet) -> None:
        """The voice turn was stopped while its answer began: so is the answer."""
        outcome = job.get()
        if isinstance(outcome, Following):
            try:
                self._turns.stop(identity, turn_id=outcome.log.turn_id)
            except ChatError as error:
                logger.warning("an answer could not be stopped: %s", error.code)

    def _next(self, following: Following) -> int:
        session = self.sessions.get(following.log.turn_id)
        if session is not None:
            return session.next
        ended = following.log.ended
        if following.message or ended is None:
            raise Conflict("This client_id means another kind of turn.", field="client_id")
        result: Mapping[str, Any] = ended.result or {}
        return int(result.get("bytes", 0))

    def _keep_checking(self) -> None:
        while True:
            gevent.sleep(self.CHECK_S)
            self.check()
