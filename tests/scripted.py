"""A provider that does what a test says, and the services around it on a real database."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import config
from services.assembly import Services, assemble
from services.events import Stop, TextDelta, Usage
from services.identity import Identity
from services.providers.base import ChatRequest, ModelCard, ProviderSpec
from services.relay.log import TurnLog
from services.turns.following import Following
from services.turns.request import TextRequest

Script = Callable[[ChatRequest], Iterator[Any]]


def words(*pieces: str, usage: Usage | None = None) -> Script:
    """Say these pieces and stop."""

    def script(request: ChatRequest) -> Iterator[Any]:
        yield from map(TextDelta, pieces)
        yield Stop("stop", usage)

    return script


@dataclass(frozen=True, slots=True)
class NoSettings:
    """It needs none."""


class ScriptedProvider:
    """Plays `script` for every call and remembers the requests."""

    def __init__(self) -> None:
        self.script: Script = words("hello")
        self.requests: list[ChatRequest] = []
        self.hung_up = 0
        self.card = ModelCard(
            id="scripted", name="Scripted", provider="scripted", vendor_model="s-1", max_output_tokens=200_000
        )

    def models(self) -> tuple[ModelCard, ...]:
        return (self.card,)

    def stream(self, request: ChatRequest) -> Generator[Any, None, None]:
        self.requests.append(request)
        try:
            yield from self.script(request)
        except GeneratorExit:
            self.hung_up += 1
            raise

    def close(self) -> None:
        """Nothing is open."""


class Stage:
    """Services around a scripted provider; can be stopped and started again on the same database and folder."""

    def __init__(self, database_url: str, data_dir: Path, **env: str) -> None:
        self.provider = ScriptedProvider()
        self._env = {"DATABASE_URL": database_url, "DATA_DIR": str(data_dir), "CHECKPOINT_S": "60", **env}
        self.services = self._assemble()
        self.user: Identity = self.services.accounts.create_guest().identity
        self.notes: list[tuple[str, str, dict[str, Any]]] = []
        self.services.notes.subscribe(lambda user, event, payload: self.notes.append((user, event, payload)))

    def restart(self, *, kill: bool = False) -> None:
        """A new process on the same data. With `kill` the old one ends nothing and says nothing."""
        if kill:
            for running in self.services.turns.running_here(self.user):
                running.runner._greenlet.unlink_all()  # type: ignore[union-attr]
                running.runner._greenlet.kill()  # type: ignore[union-attr]
        self.services.close()
        self.services = self._assemble()

    def ask(self, client_id: str, text: str = "hi", **fields: Any) -> Following:
        return self.services.text_turns.start(self.user, TextRequest(client_id, text, **fields))

    def finish(self, following: Following) -> TurnLog:
        """Wait for the ending; the books must balance after it."""
        for running in self.services.turns.running_here(self.user):
            if running.runner.log is following.log:
                assert running.runner.wait(10) is not None
        assert following.log.ended is not None
        self.audit()
        return following.log

    def audit(self) -> None:
        with self.services.uow.read() as session:
            assert self.services.ledger.audit(session) == []

    def tokens(self) -> int:
        with self.services.uow.read() as session:
            return self.services.ledger.balance(session, self.user.user_id).tokens

    def _assemble(self) -> Services:
        spec = ProviderSpec(name="scripted", settings=NoSettings, prefix="SCRIPTED", build=lambda _: self.provider)
        return assemble(config.load(self._env), self._env, specs=[spec])


@pytest.fixture
def stage(database_url: str, tmp_path: Path) -> Iterator[Stage]:
    """On SQLite and on MariaDB."""
    stage = Stage(database_url, tmp_path / "data")
    yield stage
    stage.audit()
    stage.services.close()
