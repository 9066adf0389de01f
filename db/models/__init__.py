"""Every table, one family a file."""

from db.models.compat import Academy, Administrator, Contact, Coupon, CouponUse, Imported
from db.models.conversation import Conversation
from db.models.credential import BearerToken, BrowserSession, PasswordReset
from db.models.message import Message
from db.models.picture import Picture
from db.models.quota import Account, LedgerEntry
from db.models.search import SearchEntry
from db.models.turn import Turn, TurnCheckpoint
from db.models.user import User

__all__ = [
    "Academy",
    "Account",
    "Administrator",
    "BearerToken",
    "BrowserSession",
    "Contact",
    "Conversation",
    "Coupon",
    "CouponUse",
    "Imported",
    "LedgerEntry",
    "Message",
    "PasswordReset",
    "Picture",
    "SearchEntry",
    "Turn",
    "TurnCheckpoint",
    "User",
]
