"""What was imported before, and what came of this time."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from db.models import Imported


@dataclass(slots=True)
class Report:
    """What an import did."""

    added: int = 0
    known: int = 0
    skipped: list[str] = field(default_factory=list)
    """Why a row was left out, one line each; never what a user wrote."""

    def lines(self, what: str) -> list[str]:
        """For the operator."""
        return [f"{what}: {self.added} added, {self.known} had been imported before, {len(self.skipped)} left out."] + [
            f"  {line}" for line in self.skipped
        ]


def known(session: Session, source: str, old_id: str) -> str | None:
    """What a row has become; None when it is new."""
    row = session.get(Imported, (source, old_id))
    return row.new_id if row is not None else None


def note(session: Session, source: str, old_id: str, new_id: str) -> None:
    """Remember it, in the transaction that adds it."""
    session.add(Imported(source=source, old_id=old_id, new_id=new_id))
