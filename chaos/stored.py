"""What is left when a run is over: the turns in the database, the books, and what the vendor sold."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from chaos.plan import Question
from db.models import LedgerEntry, Message, Turn
from services.providers.base import ChatMessage
from services.quota.audit import audit
from services.quota.estimate import completion_tokens, prompt_tokens
from simulators.openai_answer import answer_to


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """A turn's row, its message's text, and its entry in the ledger."""

    id: str
    status: str
    reason: str
    epoch: int
    end_offset: int
    length: int
    sha256: str
    prompt_tokens: int
    completion_tokens: int
    estimated: bool
    charged: int
    text: str
    ledger_charged: int | None
    ledger_reserved: int | None

    @property
    def place(self) -> tuple[int, int]:
        """Epoch and offset of the ending."""
        return self.epoch, self.end_offset


@dataclass(frozen=True, slots=True)
class Stored:
    """Everything in the database that a check asks for."""

    turns: dict[str, StoredTurn]
    audit: list[str]


def read(database_url: str) -> Stored:
    """Read it all, in one transaction."""
    engine = create_engine(database_url)
    with Session(engine) as session:
        its_message = (Message.id == Turn.message_id) & (Message.turn_id == Turn.id)
        its_entry = (LedgerEntry.turn_id == Turn.id) & (LedgerEntry.kind == "tokens")
        rows = session.execute(
            select(Turn, Message.text, LedgerEntry.charged, LedgerEntry.reserved)
            .outerjoin(Message, its_message)
            .outerjoin(LedgerEntry, its_entry)
        )
        turns = {
            turn.client_id or turn.id: StoredTurn(
                id=turn.id,
                status=turn.status,
                reason=turn.reason,
                epoch=turn.epoch,
                end_offset=turn.end_offset,
                length=turn.length,
                sha256=turn.sha256,
                prompt_tokens=turn.prompt_tokens,
                completion_tokens=turn.completion_tokens,
                estimated=turn.estimated,
                charged=turn.charged,
                text=text or "",
                ledger_charged=charged,
                ledger_reserved=reserved,
            )
            for turn, text, charged, reserved in rows
        }
        faults = audit(session)
    engine.dispose()
    return Stored(turns, faults)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a vendor.

    Attributes:
        sold: Tokens it sent: one a piece.
        text: What it sent.
        finished: Whether it came to its end, with the vendor's count behind it.
    """

    prefix: str
    prompt_tokens: int
    sold: int
    text: str
    finished: bool
    began: float


def calls(log: Path) -> dict[str, list[Call]]:
    """Every request, by the name of its question, in order."""
    found: dict[str, list[Call]] = defaultdict(list)
    for line in log.read_bytes().splitlines():
        raw: dict[str, Any] = orjson.loads(line)
        pieces = answer_to(raw["question"], _pieces_of(raw["question"]))
        told = 0
        while told < len(pieces) and len("".join(pieces[:told])) < len(raw["prefix"]):
            told += 1
        call = Call(
            prefix=raw["prefix"],
            prompt_tokens=raw["prompt_tokens"],
            sold=raw["sold"],
            text="".join(pieces[told : told + raw["sold"]]),
            finished=raw["finished"],
            began=raw["began"],
        )
        found[raw["question"].partition(" ")[0]].append(call)
    for its in found.values():
        its.sort(key=lambda call: call.began)
    return found


def whole_answer(question: Question) -> str:
    """What the vendor says when nobody disturbs it."""
    return "".join(answer_to(question.text, question.pieces))


def our_prompt_count(question: Question) -> int:
    """What this server counts for the question."""
    return prompt_tokens([ChatMessage("user", question.text)])


def our_count(text: str) -> int:
    """What this server counts for an answer."""
    return completion_tokens(text)


def _pieces_of(question: str) -> int:
    return int(question.partition("pieces=")[2].partition(" ")[0].rstrip("]"))
