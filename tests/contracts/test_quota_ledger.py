"""The ledger's promises, on every database: exactly once, never below zero, and the books balance after every test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent.event import Event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from db.models import LedgerEntry, Turn, User
from db.unit_of_work import UnitOfWork
from services.errors import NotFound, QuotaExceeded
from services.quota.ledger import Ledger, Quota

TOKENS, PICTURES = 1000, 3


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(initial_tokens=TOKENS, initial_pictures=PICTURES)


@pytest.fixture(autouse=True)
def books(ledger: Ledger, uow: UnitOfWork) -> Iterator[None]:
    """A user with an account before every test, books that balance after it."""
    with uow() as session:
        session.add(User(id="ann", name="Ann", guest=False, created_ms=0))
        session.flush()
        ledger.open_account(session, "ann", 0)
    yield
    with uow.read() as session:
        assert ledger.audit(session) == []


def start(uow: UnitOfWork, ledger: Ledger, turn: str, *, want: int = 300, at_least: int = 1) -> int:
    """What admission does: the turn and its reservation in one transaction."""

    def work(session: Session) -> int:
        session.add(
            Turn(id=turn, user_id="ann", conversation_id="c", message_id=f"m-{turn}", model="demo", created_ms=0)
        )
        session.flush()
        return ledger.reserve(
            session, user_id="ann", turn_id=turn, kind="tokens", want=want, at_least=at_least, now_ms=0
        )

    return uow.run(work)


def end(uow: UnitOfWork, ledger: Ledger, turn: str, charge: int) -> int:
    """What settlement does: the charge and the turn's figure in one transaction."""

    def work(session: Session) -> int:
        charged = ledger.settle(session, turn_id=turn, kind="tokens", charge=charge, now_ms=1, note="done")
        row = session.get(Turn, turn)
        assert row is not None
        row.charged, row.status = charged, "done"
        return charged

    return uow.run(work)


def tokens(uow: UnitOfWork, ledger: Ledger) -> int:
    with uow.read() as session:
        return ledger.balance(session, "ann").tokens


def test_a_new_account_has_what_everybody_starts_with(uow: UnitOfWork, ledger: Ledger) -> None:
    with uow.read() as session:
        assert ledger.balance(session, "ann") == Quota(TOKENS, PICTURES)
        with pytest.raises(NotFound):
            ledger.balance(session, "nobody")


def test_a_turn_is_charged_what_it_used_and_gets_the_rest_back(uow: UnitOfWork, ledger: Ledger) -> None:
    assert start(uow, ledger, "t1", want=300) == 300
    assert tokens(uow, ledger) == 700

    assert end(uow, ledger, "t1", 120) == 120
    assert tokens(uow, ledger) == 880


def test_a_second_settlement_changes_nothing(uow: UnitOfWork, ledger: Ledger) -> None:
    """Whoever comes second is told what the first one charged."""
    start(uow, ledger, "t1")

    assert [end(uow, ledger, "t1", charge) for charge in (120, 300, 0)] == [120, 120, 120]
    assert tokens(uow, ledger) == 880


def test_settlements_at_once_charge_once(uow: UnitOfWork, ledger: Ledger) -> None:
    start(uow, ledger, "t1")

    charged = gevent.joinall([gevent.spawn(end, uow, ledger, "t1", charge) for charge in (10, 20, 30, 40)])

    assert len({greenlet.get() for greenlet in charged}) == 1
    assert tokens(uow, ledger) == TOKENS - charged[0].get()


def test_a_reservation_is_bounded_by_what_is_left(uow: UnitOfWork, ledger: Ledger) -> None:
    assert start(uow, ledger, "t1", want=900) == 900
    assert start(uow, ledger, "t2", want=900, at_least=100) == 100
    with pytest.raises(QuotaExceeded, match="may need 1 tokens; 0 are left"):
        start(uow, ledger, "t3", want=900, at_least=1)


def test_a_refusal_leaves_no_trace_even_when_the_transaction_goes_on(uow: UnitOfWork, ledger: Ledger) -> None:
    with uow() as session, pytest.raises(QuotaExceeded):
        ledger.reserve(session, user_id="ann", turn_id="t1", kind="pictures", want=9, at_least=4, now_ms=0)
    with uow.read() as session:
        assert session.scalar(select(LedgerEntry).where(LedgerEntry.turn_id == "t1")) is None


def test_asking_again_for_one_turn_reserves_once(uow: UnitOfWork, ledger: Ledger) -> None:
    start(uow, ledger, "t1", want=300)

    again = uow.run(
        lambda session: ledger.reserve(
            session, user_id="ann", turn_id="t1", kind="tokens", want=500, at_least=400, now_ms=0
        )
    )

    assert again == 300
    assert tokens(uow, ledger) == 700


def test_one_turn_reserved_by_many_at_once_is_reserved_once(uow: UnitOfWork, ledger: Ledger) -> None:
    def reserve(session: Session) -> int:
        return ledger.reserve(session, user_id="ann", turn_id="t1", kind="tokens", want=300, at_least=1, now_ms=0)

    greenlets = gevent.joinall([gevent.spawn(uow.run, reserve) for _ in range(6)], raise_error=True)

    assert [greenlet.get() for greenlet in greenlets] == [300] * 6
    assert tokens(uow, ledger) == 700


def test_twenty_at_once_with_tokens_for_three(uow: UnitOfWork, ledger: Ledger) -> None:
    """Exactly three are let in, and nobody is ever below zero."""
    accepted, refused = [], []

    def run(number: int) -> None:
        try:
            accepted.append(start(uow, ledger, f"t{number}", want=333, at_least=333))
        except QuotaExceeded:
            refused.append(number)
            return
        gevent.sleep(0)
        end(uow, ledger, f"t{number}", 333)

    gevent.joinall([gevent.spawn(run, number) for number in range(20)], raise_error=True)

    assert accepted == [333] * 3
    assert len(refused) == 17
    assert tokens(uow, ledger) == 1


def test_a_top_up_gives_what_is_left_and_then_nothing(uow: UnitOfWork, ledger: Ledger) -> None:
    start(uow, ledger, "t1", want=900)

    def top_up(want: int, turn: str = "t1") -> int:
        return uow.run(lambda session: ledger.top_up(session, turn_id=turn, kind="tokens", want=want))

    assert [top_up(60), top_up(60), top_up(60)] == [60, 40, 0]
    assert top_up(1, "unknown") == 0
    assert end(uow, ledger, "t1", 1000) == 1000
    assert top_up(1) == 0


def test_top_ups_at_once_share_what_is_left(uow: UnitOfWork, ledger: Ledger) -> None:
    start(uow, ledger, "t1", want=450)
    start(uow, ledger, "t2", want=450)

    def top_up(turn: str) -> Callable[[Session], int]:
        return lambda session: ledger.top_up(session, turn_id=turn, kind="tokens", want=70)

    greenlets = gevent.joinall([gevent.spawn(uow.run, top_up(turn)) for turn in ("t1", "t2") * 3], raise_error=True)

    assert sum(greenlet.get() for greenlet in greenlets) == 100
    assert tokens(uow, ledger) == 0


def test_what_was_used_beyond_the_reservation_is_taken_as_far_as_it_goes(uow: UnitOfWork, ledger: Ledger) -> None:
    """A vendor may use more than we counted: the account pays until it is empty, and the note tells the rest."""
    start(uow, ledger, "t1", want=100)
    start(uow, ledger, "t2", want=100)

    assert end(uow, ledger, "t1", 350) == 350
    assert end(uow, ledger, "t2", 10**12) == 650

    assert tokens(uow, ledger) == 0
    with uow.read() as session:
        note = session.scalar(select(LedgerEntry.note).where(LedgerEntry.turn_id == "t2"))
    assert note == f"done short by {10**12 - 650}"


def test_a_transaction_that_breaks_moves_no_money(uow: UnitOfWork, ledger: Ledger) -> None:
    """A greenlet killed between the charge and the stored turn leaves the reservation, to be settled later."""
    start(uow, ledger, "t1", want=300)
    charged, never = Event(), Event()

    def settle() -> None:
        with uow() as session:
            ledger.settle(session, turn_id="t1", kind="tokens", charge=100, now_ms=1)
            charged.set()
            never.wait()

    greenlet = gevent.spawn(settle)
    charged.wait()
    greenlet.kill()

    assert tokens(uow, ledger) == 700
    assert end(uow, ledger, "t1", 40) == 40
    assert tokens(uow, ledger) == 960


def test_a_grant_adds(uow: UnitOfWork, ledger: Ledger) -> None:
    with uow() as session:
        ledger.grant(session, user_id="ann", kind="pictures", amount=5, now_ms=0, note="coupon")
        assert ledger.balance(session, "ann").pictures == PICTURES + 5
        with pytest.raises(NotFound):
            ledger.grant(session, user_id="nobody", kind="tokens", amount=5, now_ms=0, note="coupon")


def test_settling_what_was_never_reserved_is_a_bug(uow: UnitOfWork, ledger: Ledger) -> None:
    with uow() as session, pytest.raises(LookupError):
        ledger.settle(session, turn_id="t1", kind="tokens", charge=1, now_ms=0)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE account SET tokens_available = tokens_available + 1",
        "UPDATE account SET pictures_available = pictures_available - 1",
        "UPDATE turn SET charged = charged + 1",
        "UPDATE ledger_entry SET charged = charged + 1 WHERE turn_id = 't1'",
        "UPDATE ledger_entry SET reserved = reserved + 1 WHERE turn_id = 't1'",
        "DELETE FROM ledger_entry WHERE turn_id = 't1'",
        "DELETE FROM turn",
    ],
)
def test_the_audit_finds_what_does_not_balance(uow: UnitOfWork, ledger: Ledger, damage: str) -> None:
    """The check after every test would notice a single unit."""
    start(uow, ledger, "t1")
    end(uow, ledger, "t1", 5)
    with pytest.raises(ZeroDivisionError), uow() as session:
        session.execute(text(damage))
        assert ledger.audit(session) != []
        raise ZeroDivisionError


steps = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "top_up", "settle"]), st.sampled_from(["t1", "t2", "t3"]), st.integers(0, 700)
    ),
    max_size=12,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=steps)
def test_whatever_happens_the_books_balance(uow: UnitOfWork, ledger: Ledger, steps: list[tuple[str, str, int]]) -> None:
    """Any order of reservations, top-ups and settlements of three turns, after every single step."""
    with pytest.raises(ZeroDivisionError), uow() as session:
        for turn in ("t1", "t2", "t3"):
            session.add(Turn(id=turn, user_id="ann", conversation_id="c", message_id="m", model="demo", created_ms=0))
        for step, turn, amount in steps:
            row = session.get(Turn, turn)
            assert row is not None
            if step == "reserve":
                try:
                    ledger.reserve(
                        session, user_id="ann", turn_id=turn, kind="tokens", want=amount, at_least=amount // 2, now_ms=0
                    )
                except QuotaExceeded:
                    continue
            elif step == "top_up":
                ledger.top_up(session, turn_id=turn, kind="tokens", want=amount)
            else:
                try:
                    row.charged = ledger.settle(session, turn_id=turn, kind="tokens", charge=amount, now_ms=0)
                except LookupError:
                    continue
            session.flush()
            assert ledger.audit(session) == []
        raise ZeroDivisionError  # rolled back: the next example starts afresh
