"""Puts the edge of sockets together: server, namespaces, delivery, notes to user rooms, other WebSockets."""

from __future__ import annotations

import logging
from typing import Any

import flask
import gevent
from flask_socketio import SocketIO
from gevent.queue import Full, Queue

from services.accounts.sessions import SESSION_COOKIE
from services.assembly import Services
from sockets.delivery import Delivery
from sockets.entrance import SocketEntrance
from sockets.namespace import BaseNamespace, Guard, user_room
from sockets.pacer import Pacer
from sockets.picture import PictureNamespace
from sockets.serving.extension import make_socketio
from sockets.serving.limits import ServingLimits
from sockets.serving.origins import OriginPolicy
from sockets.spark.endpoint import endpoints_of
from sockets.text import TextNamespace
from sockets.voice import VoiceNamespace

logger = logging.getLogger(__name__)

MAX_WAITING_NOTES = 10_000
NOTES_OF = {"voice_started": "/voice"}
"""Notes that only one namespace has; all others go to every one."""


class Gateway:
    """The edge of one worker that its clients hold connections to."""

    def __init__(self, app: flask.Flask, services: Services) -> None:
        settings = services.settings
        limits = ServingLimits(
            max_pending_bytes=settings.relay.max_pending_bytes, max_connections=settings.server.max_connections
        )
        app.config["SESSION_COOKIE_NAME"] = SESSION_COOKIE
        self.socketio: SocketIO = make_socketio(
            app,
            allowed_origins=settings.server.allowed_origins,
            host=settings.server.host,
            port=settings.server.port,
            limits=limits,
        )
        self.limits = limits
        self.origins: OriginPolicy = self.socketio.server.eio.origins
        self._pacer = Pacer()
        self.delivery = Delivery(self.socketio.server, self._pacer, services.metrics)
        text = TextNamespace(
            entrance=SocketEntrance(services.doorkeeper, self.origins.trusts),
            delivery=self.delivery,
            turns=services.turns,
            text_turns=services.text_turns,
            catalogue=services.catalogue,
            welcomes=services.welcomes,
            count_error=lambda code: services.metrics.errors.labels(code).inc(),
        )
        voice = VoiceNamespace(
            entrance=SocketEntrance(services.doorkeeper, self.origins.trusts),
            delivery=self.delivery,
            pacer=self._pacer,
            turns=services.turns,
            voice_turns=services.voice_turns,
            speaking=services.speaking,
            recognisers=services.recognisers,
            welcomes=services.welcomes,
            settings=settings.voice,
            count_error=lambda code: services.metrics.errors.labels(code).inc(),
        )
        picture = PictureNamespace(
            entrance=SocketEntrance(services.doorkeeper, self.origins.trusts),
            delivery=self.delivery,
            turns=services.turns,
            pictures=services.pictures,
            welcomes=services.welcomes,
            count_error=lambda code: services.metrics.errors.labels(code).inc(),
        )
        self._namespaces: list[BaseNamespace] = [text, voice, picture]
        for namespace in self._namespaces:
            self.socketio.server.register_namespace(namespace)
        self._guard = Guard(self._namespaces, services.doorkeeper.still_valid)
        self._guard.start()
        self.endpoints = endpoints_of(services, limits)
        for endpoint in self.endpoints:
            app.wsgi_app = endpoint.before(app.wsgi_app)  # type: ignore[method-assign]
        self._notes: Queue[tuple[str, str, dict[str, Any]]] = Queue(MAX_WAITING_NOTES)
        self._noting = gevent.spawn(self._send_notes)
        services.notes.subscribe(self._note)
        metrics = services.metrics
        sockets = self.socketio.server.eio.sockets
        metrics.gauge("parley_viewers", "Turns being followed over Socket.IO.", lambda: self.delivery.viewers)
        metrics.gauge("parley_connections", "Engine.IO sessions.", lambda: len(sockets))
        metrics.gauge(
            "parley_queue_bytes",
            "Bytes waiting for viewers.",
            lambda: sum(socket.pending_bytes for socket in list(sockets.values())),
        )

    def close(self) -> None:
        self._guard.close()
        self._noting.kill()
        self._pacer.close()

    def _note(self, user_id: str, event: str, payload: dict[str, Any]) -> None:
        """Queue a note: encoding it for many devices takes a while, and no turn waits for that."""
        try:
            self._notes.put_nowait((user_id, event, payload))
        except Full:
            logger.warning("too many notes are waiting; %s to a user was dropped", event)

    def _send_notes(self) -> None:
        while True:
            user_id, event, payload = self._notes.get()
            for namespace in self._namespaces:
                if namespace.namespace != NOTES_OF.get(event, namespace.namespace):
                    continue
                try:
                    self.socketio.server.emit(event, payload, to=user_room(user_id), namespace=namespace.namespace)
                except Exception:
                    logger.exception("a note could not be sent")
