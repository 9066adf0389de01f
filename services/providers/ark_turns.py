"""One turn in a context of Ark's: found, made anew or done without."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from typing import Any, Protocol

import gevent
import orjson

from services.clock import Clock
from services.errors import ContentBlocked, VendorOverloaded, VendorRefused
from services.events import Stop, TextDelta
from services.providers.ark_contexts import Context, ContextMemory, history_key
from services.providers.ark_faults import ArkFaults, ContextBusy, ContextLost
from services.providers.ark_reader import ArkReader
from services.providers.base import ChatMessage, ChatRequest
from services.providers.openai_compatible import MAX_ERROR_BYTES, Answer
from services.wire.http_client import HttpClient

log = logging.getLogger(__name__)

TTL_S = 3_600  # the least Ark takes; kept contexts cost by the hour
MARGIN_S = 120.0  # before it forgets a context we already do
CREATE_S = 10.0
BUSY_TRIES, BUSY_WAIT_S = 3, 0.5
UNABLE_S = 600.0  # after an endpoint refused to make a context it is not asked for another

_ROLLING = {"type": "rolling_tokens", "rolling_tokens": True}  # the other kind forgets all but 4096 tokens


class Ask(Protocol):
    """`OpenAICompatible._ask`."""

    def __call__(self, url: str, body: dict[str, Any], reader: ArkReader) -> Answer: ...


class ArkTurns:
    """Streams turns in contexts where it can; whatever is in doubt is asked plainly, with all its messages.

    A context is made for a conversation that goes on, from our own messages, and used once at a time. It is kept only
    when the vendor ended its answer properly: after a stop, a fault or a cut it is not known what the vendor holds, so
    the next turn makes a new one.
    """

    def __init__(
        self,
        *,
        memory: ContextMemory,
        clock: Clock,
        http: HttpClient,
        faults: ArkFaults,
        base_url: str,
        headers: Callable[[], dict[str, str]],
        body: Callable[[ChatRequest], dict[str, Any]],
        ask: Ask,
    ) -> None:
        self._memory = memory
        self._clock = clock
        self._http = http
        self._faults = faults
        self._base_url = base_url
        self._headers = headers
        self._body = body
        self._ask = ask
        self._unable: dict[str, float] = {}  # model -> until when

    def stream(self, request: ChatRequest) -> Answer:
        """As `ChatProvider.stream`."""
        turn = _Turn(self._memory, request)
        with closing(self._answer(request, turn)) as pieces:
            try:
                for piece in pieces:
                    if type(piece) is TextDelta:
                        turn.said.append(piece.text)
                    elif type(piece) is Stop:
                        turn.remember()
                    yield piece
            finally:
                turn.remember()

    def _answer(self, request: ChatRequest, turn: _Turn) -> Answer:
        """The answer from a context, else the plain one. Nothing is asked again once a piece has come."""
        context = self._memory.take(turn.history) if turn.goes_on else None
        may_make, waits = turn.goes_on, 0
        while True:
            if context is None and may_make:
                may_make, context = False, self._made(request)
            if context is None:
                break
            reader = ArkReader(self._faults)
            since = self._clock.monotonic()
            begun = False
            try:
                with closing(self._asked(request, context, reader)) as pieces:
                    for piece in pieces:
                        begun = True
                        if type(piece) is Stop and reader.is_exact:
                            turn.context = Context(context.id, since + TTL_S - MARGIN_S)
                        yield piece
                return
            except (ContextBusy, VendorRefused) as error:
                if begun:
                    raise
                failure = error
            if isinstance(failure, ContextBusy) and waits < BUSY_TRIES:
                waits += 1
                gevent.sleep(BUSY_WAIT_S)
                continue
            log.info("a context of %s was not taken (%s)", request.model, type(failure).__name__)
            may_make = may_make and isinstance(failure, (ContextBusy, ContextLost))
            context = None
        with closing(self._plain(request)) as pieces:
            yield from pieces

    def _plain(self, request: ChatRequest) -> Answer:
        return self._ask(f"{self._base_url}/chat/completions", self._body(request), ArkReader(self._faults))

    def _asked(self, request: ChatRequest, context: Context, reader: ArkReader) -> Answer:
        body = self._body(request)
        body["context_id"] = context.id
        body["messages"] = body["messages"][-1:]
        return self._ask(f"{self._base_url}/context/chat/completions", body, reader)

    def _made(self, request: ChatRequest) -> Context | None:
        """A new context with all messages but the last; None when the vendor does not make one, whyever."""
        now = self._clock.monotonic()
        if self._unable.get(request.model, 0.0) > now:
            return None
        body = {
            "model": request.model,
            "mode": "session",
            "ttl": TTL_S,
            "messages": self._body(request)["messages"][:-1],
            "truncation_strategy": _ROLLING,
        }
        try:
            with (
                gevent.Timeout(CREATE_S, False),
                self._http.request(
                    "POST", f"{self._base_url}/context/create", headers=self._headers(), body=orjson.dumps(body)
                ) as response,
            ):
                raw = response.read_up_to(MAX_ERROR_BYTES)
                if response.status != 200:
                    raise self._faults.of_response(response.status, response.headers, raw)
                if context_id := _id_in(raw):
                    log.info("a context of %s was made from %d messages", request.model, len(request.messages) - 1)
                    return Context(context_id, now + TTL_S - MARGIN_S)
        except (ContentBlocked, VendorOverloaded):  # not a limit that was thrown at this wait: that is the turn's
            return None
        except VendorRefused:
            self._unable[request.model] = now + UNABLE_S
        return None


class _Turn:
    """What one turn leaves behind in the memory.

    Attributes:
        goes_on: The conversation is one whose turn before was answered here.
        said: The answer so far.
        context: Set once the vendor's history is known to be ours with the answer.
    """

    def __init__(self, memory: ContextMemory, request: ChatRequest) -> None:
        self._memory = memory
        self._request = request
        self._is_remembered = False
        self.history = history_key(request, request.messages[:-1])
        self.goes_on = not request.prefix and memory.expects(self.history)
        self.said = [request.prefix] if request.prefix else []
        self.context: Context | None = None

    def remember(self) -> None:
        """Expect the turn that follows this one; one that said nothing may be asked again. The first call counts."""
        if self._is_remembered:
            return
        self._is_remembered = True
        if self.said:
            answer = ChatMessage("assistant", "".join(self.said))
            self._memory.keep(history_key(self._request, (*self._request.messages, answer)), self.context)
        elif self.goes_on:
            self._memory.keep(self.history, None)


def _id_in(raw: bytes) -> str:
    """The id of a context that keeps everything; empty when the vendor says anything else."""
    try:
        made = orjson.loads(raw)
        context_id, strategy = made["id"], made["truncation_strategy"]["type"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
    return context_id if type(context_id) is str and strategy == _ROLLING["type"] else ""
