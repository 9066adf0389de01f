"""A peer that breaks the protocol."""

from __future__ import annotations


class Violation(Exception):
    """A peer sent what no correct client sends. Its session is closed at once; `kind` is a short name for the log."""

    def __init__(self, kind: str, *, code: int = 1008) -> None:
        super().__init__(kind)
        self.kind = kind
        self.code = code
