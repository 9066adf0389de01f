"""Questions that show pictures: only the user's own, only to models that see, kept with the question."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.errors import ChatError, InvalidRequest, NotFound
from services.providers.base import ChatMessage, ModelCard
from services.quota.estimate import prompt_tokens
from services.turns.request import AgainRequest
from services.turns.showing import MOST, TOKENS
from tests.scripted import Stage, words
from tests.services.pictures.samples import opened, picture


@pytest.fixture
def seeing(sqlite_url: str, tmp_path: Path) -> Iterator[Stage]:
    """A model that sees."""
    stage = Stage(sqlite_url, tmp_path / "data")
    stage.provider.card = replace(stage.provider.card, vision=True)
    yield stage
    stage.audit()
    stage.services.close()


def keep(stage: Stage, kind: str = "PNG") -> str:
    return stage.services.pictures.store.add(stage.user.user_id, picture(kind)).id


def shown(message: ChatMessage) -> list[str]:
    """The media types of what a model was sent, each a picture."""
    kinds = []
    for url in message.pictures:
        head, _, data = url.partition(",")
        assert opened(base64.b64decode(data)).size == (60, 40)
        kinds.append(head)
    return kinds


def test_a_model_that_sees_is_sent_the_pictures(seeing: Stage) -> None:
    """With the question, and again with the next one; they are counted, and kept with the message."""
    first, second = keep(seeing), keep(seeing, "JPEG")
    following = seeing.ask("c-1", "what is this?", pictures=(first, second))
    seeing.finish(following)
    (asked,) = seeing.provider.requests
    assert shown(asked.messages[-1]) == ["data:image/png;base64", "data:image/jpeg;base64"]
    page = seeing.services.conversations.messages(seeing.user.user_id, following.conversation)
    assert page.items[0].to_wire()["pictures"] == [first, second]
    usage = following.log.ended.usage if following.log.ended else None
    assert usage is not None
    assert usage.prompt_tokens == prompt_tokens(asked.messages) + 2 * TOKENS

    seeing.finish(seeing.ask("c-2", "and the colour?", conversation=following.conversation))
    later = seeing.provider.requests[-1].messages
    assert [len(message.pictures) for message in later] == [2, 0, 0]
    seeing.finish(seeing.services.text_turns.again(seeing.user, AgainRequest("c-3", following.message)))
    assert len(seeing.provider.requests[-1].messages[-1].pictures) == 2


def test_a_picture_that_was_deleted_is_left_out_later(seeing: Stage) -> None:
    first = keep(seeing)
    following = seeing.ask("c-1", "what is this?", pictures=(first,))
    seeing.finish(following)
    seeing.services.pictures.store.remove(seeing.user.user_id, first)
    seeing.finish(seeing.ask("c-2", "and now?", conversation=following.conversation))
    assert [message.pictures for message in seeing.provider.requests[-1].messages] == [(), (), ()]


def test_of_a_long_conversation_the_newest_pictures_are_sent(seeing: Stage) -> None:
    conversation = None
    ids = [keep(seeing) for _ in range(MOST)]
    for number in range(2):
        following = seeing.ask(f"c-{number}", "look", pictures=tuple(ids), conversation=conversation)
        conversation = following.conversation
        seeing.finish(following)
        ids = [keep(seeing) for _ in range(MOST - 1)]
    assert [len(message.pictures) for message in seeing.provider.requests[-1].messages] == [1, 0, MOST - 1]


def refusal(stage: Stage, **fields: object) -> tuple[type[ChatError], str | None]:
    with pytest.raises(ChatError) as caught:
        stage.ask("c-refused", **fields)  # type: ignore[arg-type]
    return type(caught.value), caught.value.field


def test_other_pictures_and_blind_models_are_refused(seeing: Stage) -> None:
    """By the field's name, and without a trace."""
    mine = keep(seeing)
    theirs = seeing.services.accounts.create_guest().identity
    other = seeing.services.pictures.store.add(theirs.user_id, picture()).id
    assert refusal(seeing, pictures=(other,)) == (NotFound, "pictures")
    assert refusal(seeing, pictures=("p_none",)) == (NotFound, "pictures")
    seen = seeing.ask("c-1", "look", pictures=(mine,))
    seeing.finish(seen)
    seeing.provider.card = replace(seeing.provider.card, vision=False)
    assert refusal(seeing, pictures=(mine,)) == (InvalidRequest, "pictures")
    with pytest.raises(InvalidRequest, check=lambda error: error.field == "model"):
        seeing.services.text_turns.again(seeing.user, AgainRequest("c-2", seen.message))
    seeing.finish(seeing.ask("c-3", "go on without", conversation=seen.conversation))
    assert all(not message.pictures for message in seeing.provider.requests[-1].messages)


def test_a_model_that_sees_reads_and_describes_pictures(seeing: Stage) -> None:
    """As a reader, paid by the picture; without places, which it does not tell."""
    from services.turns.picture_request import ReadingRequest

    mine = keep(seeing)
    seeing.provider.script = words("a blue ", "corner")
    cases: list[tuple[str, dict[str, object]]] = [("describe", {}), ("ocr", {"regions": []})]
    for number, (task, extra) in enumerate(cases):
        request = ReadingRequest(f"r-{number}", task, picture=mine, model="scripted", language="zh-CN")  # type: ignore[arg-type]
        following, kept = seeing.services.pictures.reading.start(seeing.user, request)
        log = seeing.finish(following)
        assert kept == mine
        assert log.ended is not None
        assert (log.answer(), log.ended.status, dict(log.ended.result or {})) == ("a blue corner", "done", extra)
        message = seeing.provider.requests[-1].messages[-1]
        assert shown(message) == ["data:image/png;base64"]
        assert "图" in message.text
    with seeing.services.uow.read() as session:
        left = seeing.services.ledger.balance(session, seeing.user.user_id).pictures
    assert left == 98


def test_only_members_of_a_chain_that_see_are_asked(seeing: Stage) -> None:
    """A stand-in that is blind would answer something else."""
    from services.providers.base import ChatRequest
    from services.providers.breaker import Breaker
    from services.providers.route import Link, Route
    from tests.scripted import ScriptedProvider

    class NoClock:
        def restart(self) -> None:
            """Nothing is limited."""

    blind, sees = ScriptedProvider(), ScriptedProvider()
    cards = [ModelCard(name, name, name, name, vision=name == "sees") for name in ("blind", "sees")]
    route = Route((Link(cards[0], blind, Breaker()), Link(cards[1], sees, Breaker())))
    message = ChatMessage("user", "look", ("data:image/png;base64,AA==",))
    list(route.stream(ChatRequest("", (message,)), NoClock()))
    assert (len(blind.requests), len(sees.requests)) == (0, 1)
