"""`/v1/conversations`: the list, its search, renaming, deleting, taking away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from gevent.event import Event

from services.events import TextDelta
from services.identity import Identity
from services.providers.base import ChatRequest
from services.turns.following import Following
from services.turns.request import TextRequest
from tests.scripted import words
from tests.servers import Stand


class Talk:
    """Ann's side of it."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.headers = stand.site.register("ann")
        token = self.headers["Authorization"].removeprefix("Bearer ")
        self.identity: Identity = stand.services.doorkeeper.by_token(token)
        self.notes: list[tuple[str, str, dict[str, Any]]] = []
        stand.services.notes.subscribe(lambda *note: self.notes.append(note))

    def ask(self, text: str, *answer: str, **fields: Any) -> Following:
        self.stand.provider.script = words(*answer)
        following = self.stand.services.text_turns.start(self.identity, TextRequest(text[:64], text, **fields))
        for running in self.stand.services.turns.running_here(self.identity):
            assert running.runner.wait(10)
        return following

    def get(self, path: str, **query: Any) -> Any:
        return self.stand.site.client().get(f"/v1/conversations{path}", query_string=query, headers=self.headers)


@pytest.fixture
def talk(stand: Stand) -> Talk:
    return Talk(stand)


def test_the_list_is_paged_newest_first(talk: Talk) -> None:
    """Following `next` gives every conversation once."""
    made = [
        talk.stand.site.client()
        .post("/v1/conversations", json={"title": f"n{n}"}, headers=talk.headers)
        .get_json()["id"]
        for n in range(5)
    ]
    seen, before = [], None
    while True:
        page = talk.get("", limit=2, **({"before": before} if before else {})).get_json()
        seen += [one["id"] for one in page["conversations"]]
        if (before := page["next"]) is None:
            break
    assert seen == made[::-1]


@pytest.mark.parametrize(
    ("query", "found"), [("lighthouse", True), ("LIGHTHOUSE keeper", True), ("灯塔", True), ("submarine", False)]
)
def test_search_finds_words_of_questions_and_answers(talk: Talk, query: str, found: bool) -> None:
    conversation = talk.ask("Who is the keeper?", "The ", "lighthouse", " keeper: 守灯塔的人").conversation
    talk.ask("Something else", "nothing of it")
    records = talk.get("", q=query).get_json()["conversations"]
    assert [one["id"] for one in records] == ([conversation] if found else [])
    assert all(one["snippet"] for one in records)


def test_a_blank_query_is_no_query(talk: Talk) -> None:
    talk.ask("hello", "hi")
    assert len(talk.get("", q="  ").get_json()["conversations"]) == 1


def test_messages_are_the_whole_tree_oldest_first(talk: Talk) -> None:
    first = talk.ask("one", "eins")
    talk.ask("two", "zwei", conversation=first.conversation)
    talk.ask("other", "anders", conversation=first.conversation, parent=first.message)

    page = talk.get(f"/{first.conversation}/messages", limit=4).get_json()
    rest = talk.get(f"/{first.conversation}/messages", limit=4, after=page["next"]).get_json()
    messages = page["messages"] + rest["messages"]

    assert [message["text"] for message in messages] == ["one", "eins", "two", "zwei", "other", "anders"]
    assert [messages[2]["parent"], messages[4]["parent"]] == [first.message, first.message]
    assert rest["next"] is None
    answer = messages[1]
    assert set(answer) == {
        "id", "parent", "role", "text", "pictures", "reasoning", "model", "turn", "status", "usage", "charged",
        "created_ms", "reason",
    }  # fmt: skip
    assert (answer["status"], answer["model"], answer["turn"]) == ("done", "scripted", first.log.turn_id)


def test_renaming_tells_the_users_devices(talk: Talk) -> None:
    conversation = talk.ask("hello", "hi").conversation
    before = talk.get(f"/{conversation}").get_json()
    renamed = talk.stand.site.client().patch(
        f"/v1/conversations/{conversation}", json={"title": " New\nname "}, headers=talk.headers
    )
    assert renamed.get_json()["title"] == "New name"
    assert renamed.get_json()["version"] == before["version"] + 1
    note = {"conversation": conversation, "version": before["version"] + 1, "title": "New name"}
    assert talk.notes[-1] == (talk.identity.user_id, "conversation_changed", note)


def test_deleting_stops_the_running_answer_first(talk: Talk) -> None:
    """Its vendor is hung up on, it ends as stopped, the devices are told; then nothing is left to find."""
    begun = Event()

    def endless(request: ChatRequest) -> Iterator[Any]:
        while True:
            yield TextDelta("more ")
            begun.set()

    talk.stand.provider.script = endless
    following = talk.stand.services.text_turns.start(talk.identity, TextRequest("c-1", "hello"))
    assert begun.wait(10)

    client = talk.stand.site.client()
    assert client.delete(f"/v1/conversations/{following.conversation}", headers=talk.headers).get_json() == {}

    assert following.status == "stopped"
    assert talk.stand.provider.hung_up == 1
    assert talk.get(f"/{following.conversation}").status_code == 404
    assert talk.get("").get_json()["conversations"] == []
    deleted = [payload for _, event, payload in talk.notes if event == "conversation_changed"][-1]
    assert (deleted["conversation"], deleted["deleted"]) == (following.conversation, True)


def test_markdown_is_the_branch_that_was_read_last(talk: Talk) -> None:
    first = talk.ask("one", "eins")
    talk.ask("left behind", "links", conversation=first.conversation)
    talk.ask("read last", "rechts", conversation=first.conversation, parent=first.message)
    title = '灯塔/a: "b"'
    talk.stand.site.client().patch(
        f"/v1/conversations/{first.conversation}", json={"title": title}, headers=talk.headers
    )

    answer = talk.get(f"/{first.conversation}/export", format="markdown")

    assert answer.headers["Content-Type"] == "text/markdown; charset=utf-8"
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith("attachment;")
    assert "%E7%81%AF%E5%A1%94-a-%20-b-.md" in disposition
    text = answer.get_data(as_text=True)
    assert text.startswith(f"# {title}\n")
    said = ("one", "eins", "left behind", "links", "read last", "rechts")
    assert [word for word in said if f"\n{word}\n" in text] == ["one", "eins", "read last", "rechts"]


def test_json_is_everything(talk: Talk) -> None:
    first = talk.ask("one", "eins")
    talk.ask("two", "zwei", conversation=first.conversation)
    answer = talk.get(f"/{first.conversation}/export", format="json")
    taken = json.loads(answer.get_data())
    assert taken["conversation"] == talk.get(f"/{first.conversation}").get_json()
    assert taken["messages"] == talk.get(f"/{first.conversation}/messages").get_json()["messages"]
    assert talk.get(f"/{first.conversation}/export", format="pdf").get_json()["error"]["field"] == "format"
