"""cloud-chat's pictures from words."""

from __future__ import annotations

import base64

import flask

from blueprints.answering import Answer
from blueprints.compat.streamed import whole
from blueprints.compat.wire import answer
from blueprints.streaming import Streams
from config import CloudChatSettings, ConfigError
from services.assembly import Services
from services.errors import InvalidRequest, ModelUnavailable, VendorError
from services.identity import Identity
from services.ids import new_id
from services.turns.picture_request import DrawingRequest, size_of


class CloudPictures:
    """Draws, and tells pictures as addresses that hold them.

    The page shows an address as it is, without a credential, and may be served under a prefix this server does not
    know: a `data:` address is good wherever it stands.
    """

    def __init__(self, services: Services, streams: Streams, settings: CloudChatSettings) -> None:
        """Raises `ConfigError` for a size nobody draws."""
        self._services = services
        self._streams = streams
        try:
            self._size = size_of(settings.image_size)
        except InvalidRequest as error:
            raise ConfigError(
                f"IMAGE_SIZE must be width*height in pixels, not {settings.image_size!r}.",
                f"IMAGE_SIZE 应写作 宽*高（像素），而不是 {settings.image_size!r}。",
            ) from error

    def draw(self, identity: Identity, prompt: str) -> flask.Response:
        """One picture. Raises `ChatError` unless it is the painter that failed."""
        try:
            following = self._services.pictures.drawing.start(
                identity, DrawingRequest(client_id=new_id("r"), prompt=prompt, size=self._size)
            )
            ended = whole(Answer(self._services, self._streams, identity, following))
        except (VendorError, ModelUnavailable) as error:
            self._services.metrics.errors.labels(error.code).inc()
            return answer({"error": "Failed to generate image"}, 500)
        pictures = (ended.result or {}).get("pictures", [])
        return answer({"image_urls": [self._address(identity, picture["id"]) for picture in pictures]})

    def _address(self, identity: Identity, picture_id: str) -> str:
        store = self._services.pictures.store
        record = store.get(identity.user_id, picture_id)
        return f"data:{record.media_type};base64,{base64.b64encode(store.read(record)).decode()}"
