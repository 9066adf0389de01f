"""Browser sessions: what the page's cookie proves."""

from __future__ import annotations

from sqlalchemy import delete
from sqlalchemy.orm import Session

from db.models import BrowserSession
from db.unit_of_work import UnitOfWork
from services.clock import Clock
from services.ids import digest, new_id, new_secret

from .credentials import Credentials, is_plausible

SESSION_COOKIE = "parley_session"
"""The cookie that carries a session's secret, on every edge."""
LIFE_S = 30 * 86_400
MAX_SESSIONS = 50
"""Browsers signed in at once; the oldest ends when there is one more."""


class Sessions(Credentials[BrowserSession]):
    """Starts and ends browser sessions and recognises their cookies."""

    def __init__(self, uow: UnitOfWork, clock: Clock) -> None:
        super().__init__(uow, clock, BrowserSession, "session")

    def start(self, user_id: str, *, replaces: str | None = None) -> str:
        """The secret of a new session, `LIFE_S` long.

        Args:
            replaces: The cookie the browser had before signing in: it ends, so that nobody who planted or saw it
                is signed in by it.
        """
        secret = new_secret()
        replaced = digest(replaces) if replaces and is_plausible(replaces) else None
        now_ms = self._clock.now_ms()

        def work(session: Session) -> None:
            self.trim(session, user_id, keep=MAX_SESSIONS - 1)
            if replaced:
                session.execute(delete(BrowserSession).where(BrowserSession.digest == replaced))
            session.add(
                BrowserSession(
                    id=new_id("s"),
                    user_id=user_id,
                    digest=digest(secret),
                    created_ms=now_ms,
                    expires_ms=now_ms + LIFE_S * 1000,
                )
            )

        self._uow.run(work)
        if replaced:
            self.forget(digest=replaced)
        return secret
