"""Turns: one row an attempt, and what was saved of those still running."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, LongText, Millis


class Turn(Base):
    """One request to a model. `status` is `running` until the settlement writes the ending, once."""

    __tablename__ = "turn"
    __table_args__ = (
        UniqueConstraint("user_id", "client_id"),
        Index(None, "status", "created_ms"),
        Index(None, "user_id", "status"),
        Base.__table_args__,
    )

    id: Mapped[Id] = mapped_column(primary_key=True)
    user_id: Mapped[Id] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    client_id: Mapped[str | None] = mapped_column(String(64))
    """The client's own id of the request; set to None when it is older than 24 hours and used again."""
    kind: Mapped[str] = mapped_column(String(16), default="text", server_default="text")
    """`text`, or what else was asked for: `voice`, `read`, `draw`."""
    conversation_id: Mapped[Id] = mapped_column(index=True)
    """Empty for a turn outside any conversation."""
    message_id: Mapped[Id]
    """The assistant message it fills; empty where there is none, and `text` and `result` hold what came of it."""
    picture_id: Mapped[Id] = mapped_column(default="", server_default="")
    """The picture a reading is of; empty for every other kind."""
    text: Mapped[LongText | None]
    result: Mapped[LongText | None]
    """JSON: the further fields of the ending; while it runs, what another worker needs to go on with it."""
    model: Mapped[str] = mapped_column(String(128))
    status: Mapped[str] = mapped_column(String(16), default="running")
    reason: Mapped[str] = mapped_column(String(16), default="")
    error_code: Mapped[str] = mapped_column(String(32), default="")
    epoch: Mapped[int] = mapped_column(default=1)
    end_offset: Mapped[int] = mapped_column(BigInteger, default=0)
    length: Mapped[int] = mapped_column(default=0)
    sha256: Mapped[str] = mapped_column(String(64), default="")
    prompt_tokens: Mapped[int] = mapped_column(default=0)
    completion_tokens: Mapped[int] = mapped_column(default=0)
    estimated: Mapped[bool] = mapped_column(default=False)
    charged: Mapped[int] = mapped_column(BigInteger, default=0)
    audio_ms: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """How long the sound lasts that was taken of a speaker."""
    spoken_ms: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """How long the sound lasts in which the answer was read aloud."""
    owner: Mapped[str] = mapped_column(String(64), default="")
    """The server process that runs it, so that a restart knows its own dead."""
    fence: Mapped[int] = mapped_column(default=1, server_default="1")
    """Grows by one with every owner; what an earlier one writes is refused."""
    created_ms: Mapped[Millis]
    ended_ms: Mapped[Millis | None]


class TurnCheckpoint(Base):
    """A stretch of a running turn's pieces, appended every second or two and deleted when it is settled."""

    __tablename__ = "turn_checkpoint"

    turn_id: Mapped[Id] = mapped_column(ForeignKey("turn.id", ondelete="CASCADE"), primary_key=True)
    offset: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """The last log offset the stretch covers."""
    text: Mapped[LongText]
    reasoning: Mapped[LongText] = mapped_column(default="")
