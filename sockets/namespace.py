"""What every namespace shares: who is there, checked events, one answer for each, no silence."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol, Self, TypeVar

import gevent
import socketio
from socketio.exceptions import ConnectionRefusedError as Refusal

from services.errors import InvalidRequest, Unauthenticated
from services.faults import refusal_of
from services.fields import Fields
from services.identity import Identity
from sockets.delivery import Delivery

logger = logging.getLogger(__name__)

Ack = dict[str, Any]
Handler = Callable[[Any, str, Any], Ack]


class Shape(Protocol):
    """An inbound event's fields."""

    @classmethod
    def from_wire(cls, fields: Fields) -> Self: ...


HandlerType = TypeVar("HandlerType", bound=Callable[..., Ack])


def answers(shape: type[Shape]) -> Callable[[HandlerType], HandlerType]:
    """Mark a method `on_<event>(self, sid, request)` as the handler of that event, decoded to `shape`."""

    def mark(handler: HandlerType) -> HandlerType:
        handler.shape = shape  # type: ignore[attr-defined]
        return handler

    return mark


class Entrance(Protocol):
    """Decides who a new connection is."""

    def identify(self, environ: dict[str, Any], auth: object) -> tuple[Identity, str | None]:
        """The identity, and a guest's new token when one was made.

        Raises:
            ChatError: No credential, or not a valid one, or a foreign origin.
        """


class BaseNamespace(socketio.Namespace):
    """A namespace whose events are typed and always answered.

    Attributes:
        identities: Who each connected sid is. Written at connect and disconnect only.
    """

    def __init__(
        self, namespace: str, *, entrance: Entrance, delivery: Delivery, count_error: Callable[[str], None]
    ) -> None:
        super().__init__(namespace)
        self.identities: dict[str, Identity] = {}
        self.delivery = delivery
        self._entrance = entrance
        self._count_error = count_error
        self._greetings: dict[str, dict[str, Any]] = {}
        self._handlers: dict[str, tuple[Callable[..., Ack], type[Shape]]] = {}
        for name in dir(type(self)):
            handler = getattr(type(self), name)
            if name.startswith("on_") and hasattr(handler, "shape"):
                self._handlers[name.removeprefix("on_")] = (getattr(self, name), handler.shape)

    def identity(self, sid: str) -> Identity:
        """Who `sid` is.

        Raises:
            Unauthenticated: It has left in the meantime.
        """
        if (identity := self.identities.get(sid)) is None:
            raise Unauthenticated("This connection has ended.")
        return identity

    def welcome(self, identity: Identity) -> dict[str, Any]:
        """The payload of this namespace's `welcome`."""
        raise NotImplementedError

    def trigger_event(self, event: str, *args: Any) -> Any:
        """Python-socketio's entry: connect, disconnect, or an event of a client."""
        if event == "connect":
            return self._connect(*args)
        if event == "disconnect":
            return self._disconnect(*args)
        return self._answer(event, *args)

    def _connect(self, sid: str, environ: dict[str, Any], auth: object = None) -> None:
        try:
            identity, token = self._entrance.identify(environ, auth)
            payload = self.welcome(identity)
        except Exception as error:
            refused = refusal_of(error, f"connecting to {self.namespace}")
            self._count_error(refused.code)
            raise Refusal(refused.message, refused.to_wire()) from error
        if token is not None:
            payload["token"] = token
        self.identities[sid] = identity
        self._greetings[sid] = payload

    def after_connect(self, sid: str) -> None:
        """The client knows that it is in: events may go. Notes of the user's other devices come from now on."""
        if (identity := self.identities.get(sid)) is not None:
            self.server.enter_room(sid, user_room(identity.user_id), namespace=self.namespace)
        if (payload := self._greetings.pop(sid, None)) is not None:
            self.delivery.send(self.namespace, sid, "welcome", payload)

    def _disconnect(self, sid: str, *_reason: object) -> None:
        self.identities.pop(sid, None)
        self._greetings.pop(sid, None)
        self.delivery.drop(self.namespace, sid)

    def _answer(self, event: str, sid: str, *args: Any) -> Ack:
        try:
            return {"ok": True, **self._handle(event, sid, args)}
        except Exception as error:  # noqa: BLE001 - the edge: every fault becomes an answer
            refused = refusal_of(error, f"{event[:64]} on {self.namespace}")
            self._count_error(refused.code)
            return {"ok": False, "error": refused.to_wire()}

    def _handle(self, event: str, sid: str, args: tuple[Any, ...]) -> Ack:
        known = self._handlers.get(event)
        if known is None:
            raise InvalidRequest(f"There is no event {event[:64]!r} here.", field="event")
        if len(args) > 1:
            raise InvalidRequest(f"{event} takes one object.", field="payload")
        handler, shape = known
        payload = args[0] if args and args[0] is not None else {}
        return handler(sid, shape.from_wire(Fields(payload)))


class Guard:
    """Cuts connections whose credential was revoked or has expired, within half a minute."""

    PERIOD_S = 30.0

    def __init__(self, namespaces: list[BaseNamespace], still_valid: Callable[[list[Identity]], set[Identity]]) -> None:
        self._namespaces = namespaces
        self._still_valid = still_valid
        self._greenlet: gevent.Greenlet | None = None

    def start(self) -> None:
        self._greenlet = gevent.spawn(self._run)

    def close(self) -> None:
        if self._greenlet is not None:
            self._greenlet.kill()

    def check(self) -> None:
        """Look at every connection once."""
        for namespace in self._namespaces:
            present = dict(namespace.identities)
            valid = self._still_valid(list(set(present.values())))
            for sid, identity in present.items():
                if identity not in valid:
                    namespace.disconnect(sid)

    def _run(self) -> None:
        while True:
            gevent.sleep(self.PERIOD_S)
            try:
                self.check()
            except Exception:
                logger.exception("could not check credentials")


def user_room(user_id: str) -> str:
    """The Socket.IO room of all of a user's devices."""
    return f"user:{user_id}"
