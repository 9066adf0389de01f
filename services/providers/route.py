"""The way of one turn through its providers: retries, fallbacks and continuations behind one stream."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

import gevent

from services.errors import ContentBlocked, ModelUnavailable, VendorError, VendorOverloaded, VendorTimeout
from services.events import ReasoningDelta, Restarted, StateChanged, Stop, TextDelta
from services.providers.base import ChatProvider, ChatRequest, ModelCard
from services.providers.breaker import Breaker
from services.wire.retry import Backoff

log = logging.getLogger(__name__)

RETRIES = 2
CONTINUATIONS = 2

Piece = TextDelta | ReasoningDelta | StateChanged | Restarted | Stop


class AttemptClock(Protocol):
    """The turn's time limits, kept by its watchdog."""

    def restart(self) -> None:
        """A new attempt begins: the limit for the first piece counts from now."""


@dataclass(frozen=True, slots=True)
class Link:
    """One way to an answer: a model, who serves it, and how that provider has been doing."""

    card: ModelCard
    provider: ChatProvider
    breaker: Breaker


class Route:
    """A chain of models that stand in for one another. Stateless between turns; any number may stream at once.

    Attributes:
        card: What users see: the chain's name, with the abilities of its first member.
    """

    def __init__(
        self,
        chain: tuple[Link, ...],
        *,
        card: ModelCard | None = None,
        backoff: Backoff | None = None,
        sleep: Callable[[float], Any] = gevent.sleep,
    ) -> None:
        if not chain:
            raise ModelUnavailable("No provider of this model is available now.")
        self.card = card or chain[0].card
        self._chain = chain
        self._backoff = backoff or Backoff()
        self._sleep = sleep

    @property
    def continues(self) -> bool:
        """Whether somebody of the chain can go on from a prefix of the answer."""
        return any(link.card.continues for link in self._chain)

    def stream(self, request: ChatRequest, clock: AttemptClock) -> Generator[Piece, None, None]:
        """Yield one answer, whatever it takes, then exactly one `Stop`. Closing the generator hangs up.

        `request.model` is ignored; each member of the chain is asked by its own name. Before the first piece a
        failing member is asked again, then the next one (`StateChanged("switching")`). When only reasoning had come
        `Restarted` voids it first. After text the answer goes on from it where a member can; never are two answers
        mixed. A continued answer's `Stop` has no usage: what came before it was sold uncounted.

        With a `request.prefix` only members that continue are asked, with pictures only those that see.

        A `VendorTimeout` thrown into the greenlet counts as the provider's; anything else thrown ends the route.

        Raises:
            ModelUnavailable: A prefix or pictures were given, and no member can do with them.
            VendorError: Nobody could answer, or nobody could go on after the text that was yielded.
        """
        shows = any(message.pictures for message in request.messages)
        able = tuple(
            link
            for link in self._chain
            if (link.card.continues or not request.prefix) and (link.card.vision or not shows)
        )
        if len(able) < len(self._chain):
            yield from Route(able, card=self.card, backoff=self._backoff, sleep=self._sleep).stream(request, clock)
            return
        index = self._first()
        text: list[str] = []
        reasoned = False
        failures = continuations = 0
        broke: VendorError | None = None
        while True:
            link = self._chain[index]
            began = False
            clock.restart()
            try:
                with closing(link.provider.stream(_ask(request, link.card, text))) as pieces:
                    for piece in pieces:
                        if not began:
                            began = True
                            link.breaker.succeeded()
                        if type(piece) is TextDelta:
                            text.append(piece.text)
                        elif type(piece) is Stop:
                            yield Stop(piece.reason) if broke or request.prefix else piece
                            return
                        else:
                            reasoned = True
                        yield piece
                raise VendorOverloaded("The answer broke off.")
            except VendorError as error:
                failure = error

            log.info("%s failed %s: %s", link.card.id, "midway" if text or reasoned else "to begin", failure.code)
            if failure.retryable and not began:
                link.breaker.failed()
            following: int | None
            if text:
                broke = broke or failure
                wait_s = self._backoff.wait_s(1, failure.retry_after_s)
                following = self._continuing(index, failure, continuations, may_wait=wait_s is not None)
                continuations += 1
                failures = 1
            else:
                failures += 1
                following, wait_s = self._instead(index, failure, failures)
            if following is None:
                raise broke or failure
            if reasoned and not text:
                reasoned = False
                yield Restarted()
            if following != index:
                index, failures = following, 0
                yield StateChanged("switching")
            else:
                clock.restart()
                with suppress(VendorTimeout):  # our own wait is not the vendor's delay
                    self._sleep(wait_s or 0.0)

    def _first(self) -> int:
        """The first member that is not resting; the first of all when every one is."""
        if len(self._chain) == 1:
            return 0
        return next((at for at, link in enumerate(self._chain) if link.breaker.allows()), 0)

    def _after(self, index: int) -> int | None:
        """The next member that is not resting; the next of all when every one is."""
        rest = range(index + 1, len(self._chain))
        return next((at for at in rest if self._chain[at].breaker.allows()), rest.start if rest else None)

    def _instead(self, index: int, failure: VendorError, failures: int) -> tuple[int | None, float | None]:
        """Whom to ask when no text has come, and after how long a wait."""
        if isinstance(failure, ContentBlocked):
            return None, None
        # A limit that ran out is not tried again on the same provider: each try may cost half a minute.
        if failure.retryable and not isinstance(failure, VendorTimeout) and failures <= RETRIES:
            wait_s = self._backoff.wait_s(failures, failure.retry_after_s)
            if wait_s is not None:
                return index, wait_s
        return self._after(index), None

    def _continuing(self, index: int, failure: VendorError, continuations: int, *, may_wait: bool) -> int | None:
        """Who can go on after the text: the same member first, then a later one, where their cards say so."""
        if continuations >= CONTINUATIONS or isinstance(failure, ContentBlocked):
            return None
        later = next((at for at in range(index + 1, len(self._chain)) if self._chain[at].card.continues), None)
        same = index if self._chain[index].card.continues and failure.retryable and may_wait else None
        first, second = (same, later) if continuations == 0 else (later, same)
        return first if first is not None else second


def _ask(request: ChatRequest, card: ModelCard, text: list[str]) -> ChatRequest:
    """The request as this member is asked. What was produced counts against `max_tokens`, one piece as one token."""
    max_tokens = request.max_tokens
    if text and max_tokens is not None:
        max_tokens = max(1, max_tokens - len(text))
    return replace(request, model=card.vendor_model, prefix=request.prefix + "".join(text), max_tokens=max_tokens)
