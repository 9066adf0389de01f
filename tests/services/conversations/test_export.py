"""An export holds what the user said and was told, page by page."""

from __future__ import annotations

import json

import pytest

from db.unit_of_work import UnitOfWork
from services.conversations import export as module
from services.conversations.conversations import Conversations
from services.conversations.export import Exports
from services.errors import NotFound

from .conftest import Talk


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAGE", 2)


@pytest.fixture
def exports(uow: UnitOfWork, conversations: Conversations) -> Exports:
    return Exports(uow, conversations)


def test_markdown_has_the_branch_that_is_shown(exports: Exports, conversations: Conversations, talk: Talk) -> None:
    conversation = conversations.create("ann", "诗").id
    question = talk.say(conversation, "背一首诗")
    talk.say(conversation, "不要这个", parent=question, role="assistant")
    answer = talk.say(conversation, "春眠不觉晓\n\n```python\nprint()\n```\n", parent=question, role="assistant")
    talk.say(conversation, "谢谢", parent=answer)

    text = "".join(exports.markdown("ann", conversation, user="我", assistant="模型"))

    when = "2023-11-14 22:13 UTC"
    assert text == (
        f"# 诗\n\n## 我, {when}\n\n背一首诗\n"
        f"\n## 模型, {when}\n\n春眠不觉晓\n\n```python\nprint()\n```\n"
        f"\n## 我, {when}\n\n谢谢\n"
    )


def test_json_has_every_branch(exports: Exports, conversations: Conversations, talk: Talk) -> None:
    conversation = conversations.create("ann", 'a "title"').id
    question = talk.say(conversation, "问")
    for number in range(4):
        talk.say(conversation, f"answer {number}", parent=question, role="assistant")

    exported = json.loads("".join(exports.json("ann", conversation)))

    assert exported["conversation"] == conversations.get("ann", conversation).to_wire()
    assert exported["messages"] == [record.to_wire() for record in conversations.messages("ann", conversation).items]
    assert len(exported["messages"]) == 5


def test_an_empty_one_is_a_valid_file(exports: Exports, conversations: Conversations) -> None:
    conversation = conversations.create("ann").id

    assert json.loads("".join(exports.json("ann", conversation)))["messages"] == []
    assert "".join(exports.markdown("ann", conversation)) == "# -\n"


def test_another_users_is_absent_before_the_first_byte(exports: Exports, conversations: Conversations) -> None:
    conversation = conversations.create("ann").id
    for write in (exports.json, exports.markdown):
        with pytest.raises(NotFound):
            write("bob", conversation)
