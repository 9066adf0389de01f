"""What any exception means to a client: the one place where every edge translates them."""

from __future__ import annotations

import logging

from db.errors import DatabaseBusy
from services.errors import ChatError, Internal, ServerBusy

logger = logging.getLogger(__name__)


def refusal_of(error: Exception, doing: str) -> ChatError:
    """The error to tell. A bug is logged with its traceback; its words are not told.

    Args:
        doing: What failed, for the log: an event or a route, nothing a user wrote.
    """
    if isinstance(error, ChatError):
        return error
    if isinstance(error, DatabaseBusy):
        logger.warning("%s: %s", doing, error)
        return ServerBusy("The database is busy; try again in a moment.", retry_after_s=2)
    logger.error("%s failed inside the server", doing, exc_info=error)
    return Internal("The server failed; try again.")
