"""A viewer's book-keeping follows the protocol's rule, and finds what no server may do."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from chaos.book import FRUITLESS, Book, Step

TEXT = "春眠不觉晓"


def delta(offset: int, text: str, epoch: int = 1) -> tuple[str, dict[str, Any]]:
    return "turn_delta", {"epoch": epoch, "offset": offset, "count": len(text), "kind": "text", "text": text}


def rewind(offset: int, length: int, epoch: int = 2) -> tuple[str, dict[str, Any]]:
    return "turn_rewind", {"epoch": epoch, "offset": offset, "length": length}


def end(offset: int, text: str, epoch: int = 1) -> tuple[str, dict[str, Any]]:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return "turn_end", {"epoch": epoch, "offset": offset, "status": "done", "length": len(text), "sha256": digest}


def take(book: Book, *events: tuple[str, dict[str, Any]]) -> list[Step]:
    return [book.take(event, body, now=0.0) for event, body in events]


def test_an_answer_is_read_over_repeats_and_rewinds() -> None:
    """What was seen is passed over; a rewind cuts the text where it says."""
    book = Book("t")
    steps = take(book, delta(1, "春眠"), delta(1, "春眠"), delta(3, "不?"), rewind(3, 3), delta(4, "觉晓", 2))
    assert steps == [Step.APPLIED, Step.OLD, Step.APPLIED, Step.APPLIED, Step.APPLIED]
    take(book, delta(4, "late"), end(6, TEXT, 2))
    assert (book.text, book.last, book.end is not None, book.faults) == (TEXT, 6, True, [])
    assert book.rewinds == [(2, 3, 3)]


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(delta(4, "x"), id="an offset ahead"),
        pytest.param(delta(2, "xy"), id="half of it was seen"),
        pytest.param(delta(3, "x", 2), id="an epoch that nothing announced"),
        pytest.param(rewind(5, 5), id="a rewind to what was not seen"),
        pytest.param(end(4, TEXT), id="an ending ahead"),
    ],
)
def test_whatever_does_not_follow_asks_for_an_attach(event: tuple[str, dict[str, Any]]) -> None:
    book = Book("t")
    assert take(book, delta(1, "ab"), event) == [Step.APPLIED, Step.GAP]
    assert (book.last, book.text, book.faults) == (2, "ab", [])


def test_a_gap_that_attaches_do_not_heal_is_a_fault_once() -> None:
    book = Book("t")
    assert [book.gap() for _ in range(FRUITLESS + 2)] == [True] * FRUITLESS + [False] * 2
    assert len(book.faults) == 1


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([delta(1, "ab"), end(3, "abc")], id="a text of another length"),
        pytest.param([delta(1, "ab"), end(3, "xy")], id="another text"),
        pytest.param([delta(1, "ab"), end(3, "ab"), delta(4, "c")], id="more after the ending"),
        pytest.param([delta(1, "ab"), end(3, "ab"), rewind(1, 1)], id="a rewind after the ending"),
        pytest.param([delta(1, "ab"), end(3, "ab"), end(3, "xy")], id="two endings"),
        pytest.param([delta(1, "ab"), delta(3, "c"), rewind(2, 1)], id="a rewind that keeps another length"),
    ],
)
def test_what_no_server_may_do_is_a_fault(events: list[tuple[str, dict[str, Any]]]) -> None:
    book = Book("t")
    take(book, *events)
    assert len(book.faults) == 1
