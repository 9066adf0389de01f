"""A search finds what was written, in Chinese and English, on every database, and nothing of anybody else's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.unit_of_work import UnitOfWork
from services.conversations.conversations import Conversations
from services.conversations.terms import MAX_INDEXED, index_terms, query_terms, snippet
from tests.clocks import FakeClock

from .conftest import Talk

TEXTS = {
    "poem": "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。",
    "beijing": "我在北京大学读书。I study at Peking University.",
    "code": "How do I sort a list in Python? Use sorted(items, key=len).",
    "cafe": "Le Café de l'Été is what the owner says it is.",
    "emoji": "Party 🎉 tonight, Straße 12",
    "mixed": "用Python写一个GPT4客户端",
    "kana": "今日はいい天気ですね",
    "cyrillic": "Привет, Мир",
}

QUERIES: dict[str, set[str]] = {
    "春眠": {"poem"},
    "不觉晓": {"poem"},
    "鸟": {"poem"},
    "晓春": set(),
    "北京": {"beijing"},
    "北京 university": {"beijing"},
    "北京 python": set(),
    "PYTHON": {"code", "mixed"},
    "pyth": {"code", "mixed"},
    "sorting": set(),
    "sort": {"code"},
    "cafe ete": {"cafe"},
    "café": {"cafe"},
    "what the is it": {"cafe"},
    "🎉": {"emoji"},
    "strasse": {"emoji"},
    "gpt4": {"mixed"},
    "客户端": {"mixed"},
    "天気": {"kana"},
    "ПРИВЕТ": {"cyrillic"},
    "title poem": {"poem"},
    "title of": set(TEXTS),
    "!!! ???": set(),
    '" OR 1=1 --': set(),
    '+python -sort* ("@~<>': {"code"},
    "' MATCH '": set(),
}


@pytest.fixture
def written(conversations: Conversations, talk: Talk, clock: FakeClock) -> dict[str, str]:
    """A conversation for each text, by id."""
    ids = {}
    for name, text in TEXTS.items():
        clock.advance(1)
        conversation = conversations.create("ann", f"title of {name}").id
        talk.say(conversation, text)
        ids[conversation] = name
    other = conversations.create("bob", "春眠 Python").id
    talk.say(other, "春眠 Python 北京", user="bob")
    return ids


def test_a_query_finds_the_conversations_that_have_all_its_words(
    conversations: Conversations, written: dict[str, str]
) -> None:
    """Of the asking user, newest first, each with the place; signs of a query language are only signs."""
    answers = {query: conversations.list("ann", query=query).items for query in QUERIES}

    assert {query: {written[record.id] for record in records} for query, records in answers.items()} == QUERIES
    for records in answers.values():
        assert all(record.snippet for record in records)
        assert [record.updated_ms for record in records] == sorted((r.updated_ms for r in records), reverse=True)


def test_results_come_in_pages(conversations: Conversations, written: dict[str, str]) -> None:
    shown, cursor = [], None
    while True:
        page = conversations.list("ann", query="title", limit=3, before=cursor)
        shown += [written[record.id] for record in page.items]
        if (cursor := page.next) is None:
            break
    assert shown == list(TEXTS)[::-1]


def test_an_answer_is_found_once_it_is_complete_and_a_title_by_its_last_name(
    conversations: Conversations, talk: Talk, uow: UnitOfWork
) -> None:
    conversation = conversations.create("ann", "old name").id
    answer = talk.say(conversation, "", role="assistant")
    for text in ("a first version", "the final version"):
        with uow() as session:
            message = conversations.message(session, "ann", answer)
            message.text = text
            conversations.index_message(session, message)
    conversations.rename("ann", conversation, "new name")

    def hits(query: str) -> int:
        return len(conversations.list("ann", query=query).items)

    assert [hits("final version"), hits("first version"), hits("new name"), hits("old name")] == [1, 0, 1, 0]


def test_a_very_long_text_is_found_by_its_beginning(conversations: Conversations, talk: Talk) -> None:
    conversation = conversations.create("ann").id
    talk.say(conversation, "开头 " + "字" * MAX_INDEXED + " 结尾")

    assert len(conversations.list("ann", query="开头").items) == 1
    assert conversations.list("ann", query="结尾").items == []


@pytest.mark.parametrize(
    ("text", "query", "shown"),
    [
        ("short text", "text", "short text"),
        ("x " * 40 + "here is\nthe word" + " y" * 100, "WORD", "…x x x x x x x x x here is the word" + " y" * 37 + "…"),
        ("一" * 50 + "北京大学" + "二" * 200, "大学 北京", "…" + "一" * 30 + "北京大学" + "二" * 86 + "…"),
        ("nothing of it", "绝无", "nothing of it"),
    ],
)
def test_a_snippet_shows_the_place(text: str, query: str, shown: str) -> None:
    found = snippet(text, query)

    assert found.strip("…").replace(" ", "") in text.replace("\n", "").replace(" ", "")
    assert len(found) <= 122
    assert shown[:12] == found[:12]


@given(text=st.text(max_size=200))
def test_terms_are_words_that_both_engines_keep_whole(text: str) -> None:
    """Three ASCII letters or digits at least, no longer than InnoDB's longest, whatever the text."""
    for word in index_terms("u_1", text).split():
        assert word.isascii() and word.isalnum()
        assert 3 <= len(word) <= 84


@given(text=st.text(min_size=1, max_size=20), around=st.text(max_size=20))
def test_what_a_text_contains_it_is_found_by(text: str, around: str) -> None:
    """Between blanks, every term of a query is among the terms of a text that contains it."""
    indexed = index_terms("u_1", f"{around} {text} {around}").split()

    for term in query_terms("u_1", text):
        assert any(word.startswith(term.word) if term.is_prefix else word == term.word for word in indexed)
