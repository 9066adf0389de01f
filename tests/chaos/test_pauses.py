"""Silences are put down to the blow they follow."""

from __future__ import annotations

from array import array

import pytest

from chaos.book import Book
from chaos.pauses import Struck, pauses, percentile


def book(*times: float, lost: tuple[float, ...] = ()) -> Book:
    made = Book("t")
    made.times = array("d", times)
    made.lost = list(lost)
    made.end = {}
    return made


def kill(at: float, *turns: str) -> Struck:
    return Struck("kill", at, turns=frozenset(turns))


def test_the_longest_silence_after_a_kill_counts_from_the_kill_on() -> None:
    """What was on its way still arrives; then comes the silence."""
    (pause,) = pauses([kill(10, "t")], [book(9, 9.5, 10.1, 13.5, 14)], over=20)
    assert (pause.kind, pause.at) == ("taken over", 10.1)
    assert pause.lasted_s == pytest.approx(3.4)


def test_a_turn_hit_twice_has_two_pauses_that_do_not_run_into_each_other() -> None:
    """The second kill hits the worker that had taken it over: the first pause was over then."""
    found = pauses([kill(10, "t"), kill(15, "t")], [book(9, 14, 18)], over=20)
    assert [pause.lasted_s for pause in found] == [4, 3]


def test_a_viewer_that_only_has_to_connect_anew_is_told_apart() -> None:
    found = pauses([kill(10)], [book(9, 11, 12, lost=(10.2,)), book(9, 11, 12)], over=20)
    assert [pause.kind for pause in found] == ["line", "bystander"]


def test_a_silence_in_which_redis_was_away_is_its() -> None:
    """Nobody can be known dead without it; once it is back the limit holds again."""
    blows = [Struck("redis", 9.5, over=12), kill(10, "t"), kill(13, "t")]
    found = pauses(blows, [book(9, 9.4, 12.5, 15)], over=20)
    assert [(pause.kind, pause.lasted_s) for pause in found[1:]] == [("redis", 2.5), ("taken over", 2)]


def test_turns_that_did_not_run_then_have_no_pause() -> None:
    assert pauses([kill(10, "t")], [book(1, 2), book(11, 12), Book("never began")], over=20) == []


def test_percentiles() -> None:
    assert [percentile([3, 1, 2], share) for share in (0.5, 0.95, 1.0)] == [2, 3, 3]
    assert percentile([], 0.5) == 0
