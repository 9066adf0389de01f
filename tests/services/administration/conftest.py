"""The administration over a database, and the accounts it looks after."""

from tests.services.accounts.conftest import accounts, ledger, passwords, sessions, tokens  # noqa: F401
