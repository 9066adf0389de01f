"""A Bailian application (百炼应用): its prompt, tools and knowledge are the vendor's, the history is ours."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from services.clock import Clock, SystemClock
from services.errors import VendorRefused
from services.events import Stop, TextDelta
from services.providers.base import ChatMessage, ChatRequest
from services.providers.dashscope_native import Answer, DashScopeNative, alternating, sampling
from services.providers.dashscope_reader import DashScopeReader

# The vendor is said to keep a session for an hour and 50 turns; well inside of both a session is trusted.
SESSION_S = 1_800.0
SESSION_TURNS = 40
SESSIONS = 10_000


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation the vendor keeps. `since` is monotonic."""

    id: str
    turns: int
    since: float


class Sessions:
    """Sessions by the exact conversation the vendor holds in them, each good for one turn.

    A question asked anew, an edited one or a second branch therefore never goes on in a session that has seen
    something else: its history finds no session, and is sent whole. Never yields.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._kept: OrderedDict[bytes, Session] = OrderedDict()

    def take(self, user: str, history: Sequence[ChatMessage]) -> Session | None:
        """The session that holds just this, which nobody else gets any more."""
        session = self._kept.pop(_key(user, history), None)
        if session is None or session.turns >= SESSION_TURNS:
            return None
        return session if self._clock.monotonic() - session.since < SESSION_S else None

    def keep(self, user: str, history: Sequence[ChatMessage], *, id: str, turns: int) -> None:
        """Remember that a session now holds just this."""
        self._kept[_key(user, history)] = Session(id, turns, self._clock.monotonic())
        if len(self._kept) > SESSIONS:
            self._kept.popitem(last=False)


class Application:
    """One application of an operator. Source: docs/providers/qwen.md."""

    def __init__(self, native: DashScopeNative, app_id: str, clock: Clock | None = None) -> None:
        self._native = native
        self._path = f"/apps/{quote(app_id, safe='')}/completion"
        self._sessions = Sessions(clock)

    def stream(self, request: ChatRequest) -> Answer:
        """An answer; the contract is `ChatProvider.stream`.

        A first question is sent alone. A later one goes into the session that holds its history, when there is one,
        else with the history. A session that the vendor lost is noticed before the first piece.
        """
        *history, question = request.messages
        session = self._sessions.take(request.user, history) if history else None
        if session is not None:
            reader = self._native.reader()
            given = {"prompt": question.text, "session_id": session.id}
            with closing(self._ask(request, given, reader)) as pieces:
                try:
                    first = next(pieces)
                except VendorRefused:  # the log has why
                    is_held = False
                else:
                    is_held = reader.session_id == session.id
                if is_held:
                    yield from self._remembered(_chained(first, pieces), request, reader, session.turns + 1)
                    return
        if history:  # whether a session begun with a history holds it is not documented: none is kept
            messages = [{"role": message.role, "content": message.text} for message in alternating(request.messages)]
            yield from self._ask(request, {"messages": messages}, self._native.reader())
        else:
            reader = self._native.reader()
            yield from self._remembered(self._ask(request, {"prompt": question.text}, reader), request, reader, 1)

    def _ask(self, request: ChatRequest, given: dict[str, Any], reader: DashScopeReader) -> Answer:
        parameters = {"incremental_output": True, "has_thoughts": True, **sampling(request)}
        return self._native.call(self._path, {"input": given, "parameters": parameters}, reader)

    def _remembered(self, pieces: Answer, request: ChatRequest, reader: DashScopeReader, turns: int) -> Answer:
        """The same pieces; after a whole answer the session is kept under what it holds then."""
        text: list[str] = []
        with closing(pieces):
            for piece in pieces:
                if type(piece) is TextDelta:
                    text.append(piece.text)
                elif type(piece) is Stop and piece.reason == "stop" and reader.session_id:
                    answer = ChatMessage("assistant", "".join(text))
                    held = (*request.messages, answer)
                    self._sessions.keep(request.user, held, id=reader.session_id, turns=turns)
                yield piece


def _chained(first: Any, rest: Answer) -> Generator[Any, None, None]:
    with closing(rest):
        yield first
        yield from rest


def _key(user: str, history: Sequence[ChatMessage]) -> bytes:
    held = [user, *([message.role, message.text] for message in history)]
    return hashlib.sha256(orjson.dumps(held)).digest()
