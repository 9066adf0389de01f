"""`/voice`: sound comes in as frames, its transcript and the answer to it go out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from config import VoiceSettings
from services.errors import ChatError, InvalidRequest, NotFound, TooLarge, UnsupportedMedia
from services.identity import Identity
from services.speech.catalogue import Recognisers
from services.speech.pcm import is_file
from services.turns.following import Following
from services.turns.speaking import Speaking
from services.turns.speech import SpokenSentence
from services.turns.turns import Turns
from services.turns.voice import VoiceTurns
from services.turns.voice_request import AnswerRequest
from services.turns.voice_session import Verdict, VoiceSession
from services.turns.welcome import Welcomes
from sockets.delivery import Delivery
from sockets.events import DEFAULT_WINDOW_MS, CancelVoice, EndVoice, HushVoice, StartVoice
from sockets.following import FollowingNamespace
from sockets.namespace import Ack, Entrance, answers
from sockets.pacer import Pacer

MAX_FRAME_BYTES = 65_536
ACK_S = 0.4
"""A frame is acknowledged so long after it came, with all that came meanwhile."""


class VoiceNamespace(FollowingNamespace):
    """Translates events to `VoiceTurns`; frames take a way of their own, made for their rate."""

    inline_events = ("voice_frame",)

    def __init__(
        self,
        *,
        entrance: Entrance,
        delivery: Delivery,
        pacer: Pacer,
        turns: Turns,
        voice_turns: VoiceTurns,
        speaking: Speaking,
        recognisers: Recognisers,
        welcomes: Welcomes,
        settings: VoiceSettings,
        count_error: Callable[[str], None],
    ) -> None:
        super().__init__("/voice", entrance=entrance, delivery=delivery, turns=turns, count_error=count_error)
        self._pacer = pacer
        self._voice_turns = voice_turns
        self._speaking = speaking
        self._sessions = voice_turns.sessions
        self._recognisers = recognisers
        self._welcomes = welcomes
        self._limits = {
            "voice_s": settings.max_s,
            "voice_ahead_s": settings.ahead_s,
            "voice_idle_s": settings.idle_s,
            "voice_silence_s": settings.silence_s,
            "voice_frame_bytes": MAX_FRAME_BYTES,
        }
        voice_turns.subscribe(self._answered)

    def welcome(self, identity: Identity) -> dict[str, Any]:
        payload = self._welcomes.for_user(identity)
        models = [card.to_wire() for card in self._recognisers.cards()]
        voices = [card.to_wire() for card in self._speaking.voices.cards()]
        limits = {**payload["limits"], **self._limits}
        return {**payload, "limits": limits, "models": models, "voices": voices}

    def trigger_event(self, event: str, *args: Any) -> Any:
        if event == "voice_frame":
            return self._frame(*args)
        if event == "disconnect":
            self._speaking.leave(args[0])
        return super().trigger_event(event, *args)

    @answers(StartVoice)
    def on_voice_start(self, sid: str, event: StartVoice) -> Ack:
        answer = event.request.answer
        speech = self._speaking.told(answer.speak) if answer is not None and answer.speak is not None else None
        self._speaking.leave(sid)  # nobody is talked over
        following, next_byte = self._voice_turns.start(self.identity(sid), event.request)
        self.follow(sid, following, event.window_s)
        place = {**self.place(following), "next": next_byte}
        return {**place, "speech": speech} if speech is not None else place

    @answers(HushVoice)
    def on_voice_hush(self, sid: str, event: HushVoice) -> Ack:
        heard = self._speaking.hush(self.identity(sid), event.turn, sid, event.heard_ms)
        return {} if heard is None else {"heard_chars": heard}

    @answers(EndVoice)
    def on_voice_end(self, sid: str, event: EndVoice) -> Ack:
        return {"next": self._voice_turns.finish(self.identity(sid), event.turn, event.at)}

    @answers(CancelVoice)
    def on_voice_cancel(self, sid: str, event: CancelVoice) -> Ack:
        self._voice_turns.cancel(self.identity(sid), event.turn)
        return {}

    def _frame(self, sid: str, payload: Any = None, *more: Any) -> None:
        """`voice_frame`, on the connection's own reader: never yields, builds nothing, is not acknowledged."""
        try:
            session, at, pcm = self._sessions[payload["turn"]], payload["at"], payload["pcm"]
            is_good = type(pcm) is bytes and type(at) is int and session.user_id == self.identities[sid].user_id
        except (KeyError, TypeError):
            is_good = False
        if not is_good or more or not 0 < len(pcm) <= MAX_FRAME_BYTES or (len(pcm) | at) & 1 or at < 0:
            self._refuse(sid, payload)
            return
        if at == 0 and is_file(pcm):
            self._tell_refusal(sid, session, UnsupportedMedia("This is a sound file: send its samples.", field="pcm"))
            return
        verdict = session.feed(at, pcm)
        session.sid = sid
        if verdict is Verdict.OVERRUN:
            self._send(sid, "voice_overrun", session)
        elif verdict is not Verdict.TAKEN and session.is_acked:
            self._send(sid, "voice_ack", session)  # the frames that follow one out of place are told together
        if session.is_acked:
            session.is_acked = False
            self._pacer.after(ACK_S, partial(self._acknowledge, session))

    def _acknowledge(self, session: VoiceSession) -> None:
        session.is_acked = True
        self._send(session.sid, "voice_ack", session)

    def _send(self, sid: str, event: str, session: VoiceSession) -> None:
        self.delivery.send(self.namespace, sid, event, {"turn": session.turn_id, "next": session.next})

    def _refuse(self, sid: str, payload: Any) -> None:
        """Say what is wrong with a frame; nothing of it was taken, and the utterance goes on."""
        turn = payload.get("turn") if isinstance(payload, dict) else None
        session = self._sessions.get(turn) if isinstance(turn, str) else None
        identity = self.identities.get(sid)
        if session is not None and (identity is None or session.user_id != identity.user_id):
            session = None
        self._tell_refusal(sid, session, _fault_of(payload, session))

    def _tell_refusal(self, sid: str, session: VoiceSession | None, error: ChatError) -> None:
        self._count_error(error.code)
        place = {"turn": session.turn_id, "next": session.next} if session is not None else {}
        self.delivery.send(self.namespace, sid, "voice_refused", {**place, "error": error.to_wire()})

    def _answered(self, turn_id: str, following: Following, answer: AnswerRequest) -> None:
        """Whoever follows the utterance follows the answer to it, too, and hears it."""
        sids = self.delivery.followers(self.namespace, turn_id)
        if answer.speak is not None and sids and (identity := self.identities.get(sids[0])) is not None:
            hears = partial(_Hearer, self.delivery, self.namespace)
            self._speaking.begin(identity.user_id, following, answer.speak, {sid: hears(sid) for sid in sids})
        for sid in sids:
            try:
                self.follow(sid, following, DEFAULT_WINDOW_MS / 1000)
            except ChatError as error:
                self._count_error(error.code)  # it follows too many turns; it knows the answer's id


class _Hearer:
    """A connection to which an answer is read: a `services.turns.speech.Listener`."""

    def __init__(self, delivery: Delivery, namespace: str, sid: str) -> None:
        self._delivery = delivery
        self._namespace = namespace
        self._sid = sid

    def hear(self, turn: str, sentence: int, at: int, rate: int, pcm: bytes) -> bool:
        place = {"turn": turn, "sentence": sentence, "at": at, "rate": rate}
        return self._delivery.send_bytes(self._namespace, self._sid, "voice_speech", place, "pcm", pcm)

    def sentence_over(self, turn: str, spoken: SpokenSentence) -> None:
        told = {"turn": turn, "sentence": spoken.number, "text": spoken.text, "start": spoken.start, "end": spoken.end}
        self._delivery.send(self._namespace, self._sid, "voice_speech_end", {**told, "ms": spoken.ms})

    def over(self, turn: str, reason: str, ms: int, error: ChatError | None) -> None:
        told = {"turn": turn, "reason": reason, "ms": ms}
        fault = {"error": error.to_wire()} if error is not None else {}
        self._delivery.send(self._namespace, self._sid, "voice_speech_over", {**told, **fault})


def _fault_of(payload: Any, session: VoiceSession | None) -> ChatError:
    if not isinstance(payload, dict):
        return InvalidRequest("voice_frame takes one object.", field="payload")
    at, pcm = payload.get("at"), payload.get("pcm")
    if session is None:
        if isinstance(payload.get("turn"), str):
            return NotFound("There is no such voice turn, or it has ended.", field="turn")
        return InvalidRequest("turn is missing.", field="turn")
    if type(at) is not int or at < 0 or at & 1:
        return InvalidRequest("at must be an even number of bytes.", field="at")
    if type(pcm) is not bytes:
        return InvalidRequest("pcm must be binary.", field="pcm")
    if len(pcm) > MAX_FRAME_BYTES:
        return TooLarge(f"A frame has at most {MAX_FRAME_BYTES} bytes.", field="pcm")
    if not pcm or len(pcm) & 1:
        return InvalidRequest("pcm must hold whole samples of two bytes.", field="pcm")
    return InvalidRequest("voice_frame takes one object.", field="payload")
