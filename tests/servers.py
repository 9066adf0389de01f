"""The whole server inside the test's process: asked directly, or over a real port."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient

import config
from blueprints.registration import register
from services.assembly import Services, assemble
from services.providers.base import ProviderSpec
from services.speech.base import SpeechSpec
from services.synthesis.base import SynthesisSpec
from sockets.gateway import Gateway
from sockets.serving.worker import Worker
from tests.scripted import NoSettings, ScriptedProvider
from tests.speakers import Ear
from tests.tongues import Tongue

PASSWORD = "correct horse battery"


class Site:
    """A server that answers `client()`s at once, and real ones once it is `open`."""

    def __init__(
        self,
        env: Mapping[str, str],
        specs: Iterable[ProviderSpec] | None = None,
        speech_specs: Iterable[SpeechSpec] | None = None,
        synthesis_specs: Iterable[SynthesisSpec] | None = None,
    ) -> None:
        settings = config.load(env)
        self.services: Services = assemble(
            settings, env, specs=specs, speech_specs=speech_specs, synthesis_specs=synthesis_specs
        )
        self.app = flask.Flask("parley", static_folder=None)
        self.app.secret_key = "signs the cookies of a test"
        self._gateway = Gateway(self.app, self.services)
        self.others = register(self.app, self.services, self._gateway.origins)
        self._worker = Worker(
            self.app.wsgi_app,
            settings.server.host,
            0,
            engine=self._gateway.socketio.server.eio,
            limits=self._gateway.limits,
            endpoints=self._gateway.endpoints,
        )

    def open(self) -> str:
        """Listen on a free port; the address."""
        self._worker.start()
        host, port = self._worker.address
        return f"http://{host}:{port}"

    @property
    def endpoints(self) -> Any:
        """Its WebSockets beside Socket.IO's."""
        return self._gateway.endpoints

    @property
    def origin(self) -> str:
        """Of the page this server would serve."""
        return f"http://127.0.0.1:{self._gateway.origins.port}"

    def client(self) -> FlaskClient:
        """A browser's jar of cookies, without a browser's headers."""
        return self.app.test_client()

    def register(self, name: str) -> dict[str, str]:
        """A new user; the headers that make a request this user's."""
        answer = self.client().post("/v1/auth/register", json={"username": name, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        return {"Authorization": f"Bearer {answer.get_json()['token']}"}

    def close(self) -> None:
        self._worker.stop(grace_s=1)
        self._gateway.close()
        self.services.close()


@contextmanager
def running_server(env: Mapping[str, str]) -> Iterator[str]:
    """A server with every provider; its address."""
    site = Site(env)
    try:
        yield site.open()
    finally:
        site.close()


class Stand:
    """A site whose only model does what the test says, and whose only recogniser keeps what it hears."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.provider = ScriptedProvider()
        self.ear = Ear()
        spec = ProviderSpec(name="scripted", settings=NoSettings, prefix="SCRIPTED", build=lambda _: self.provider)
        self.tongue = Tongue()
        self.site = Site(env, [spec], [self.ear.spec], [self.tongue.spec])
        self.services = self.site.services

    def audit(self) -> None:
        """The books balance."""
        with self.services.uow.read() as session:
            assert self.services.ledger.audit(session) == []


@pytest.fixture
def site_env(sqlite_url: str, tmp_path: Any) -> dict[str, str]:
    """Settings of a server on an empty database."""
    return {"DATABASE_URL": sqlite_url, "DATA_DIR": str(tmp_path / "data"), "PORT": "5000"}


@pytest.fixture
def either_stand(database_url: str, site_env: dict[str, str]) -> Iterator[Stand]:
    """On SQLite and on MariaDB."""
    stand = Stand({**site_env, "DATABASE_URL": database_url})
    yield stand
    stand.audit()
    stand.site.close()


@pytest.fixture
def stand(site_env: dict[str, str]) -> Iterator[Stand]:
    stand = Stand(site_env)
    yield stand
    stand.audit()
    stand.site.close()


@pytest.fixture
def site(stand: Stand) -> Site:
    return stand.site
