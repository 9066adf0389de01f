"""What is done to every text that comes in, before anything else sees it."""

from __future__ import annotations

_JOINERS = "\u200c\u200d"  # invisible, but emoji families and Persian words are written with them


def clean(text: str) -> str:
    """The same text, storable and sendable: NULs dropped, halves of surrogate pairs joined or replaced by U+FFFD."""
    if "\0" in text:
        text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def one_line(text: str, max_length: int) -> str:
    """`clean` text with every run of white space and invisible characters as one blank, cut to `max_length`."""
    spaced = "".join(char if char.isprintable() or char in _JOINERS else " " for char in clean(text))
    return " ".join(spaced.split())[:max_length].rstrip()
