"""Text as search terms: one spelling that SQLite's FTS5 and InnoDB's full-text index both keep whole.

InnoDB drops words under three letters and a list of common ones, and has no n-grams on MariaDB. So every term is
ASCII letters and digits, three or more, behind a letter that tells its kind and keeps it off that list:

    w + word                 a word, folded, without accents; foreign letters in hex
    c + hex [+ hex]          one character, or two neighbours, of a script written without blanks
    s + hex                  a sign such as an emoji
    u + user id              whose text it is: the index itself narrows the search to one user
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise

MAX_INDEXED = 10_000
"""Characters of one text that can be found, what stands behind them not: all distinct, that is 15 ms of SQLite."""
MAX_QUERY = 200
_MAX_QUERY_TERMS = 24
_MAX_WORD = 60  # InnoDB's longest word is 84

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Myanmar, Khmer
    "\u3005\u3007\u3040-\u30ff\u31f0-\u31ff"  # kana
    "\u1100-\u11ff\uac00-\ud7af"  # Hangul
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
_PIECES = re.compile(f"([{_UNSPACED}]+)|([^\\W_{_UNSPACED}]+)|([\u2600-\u27bf\U0001f000-\U0001faff])")


@dataclass(frozen=True, slots=True)
class Term:
    """A word to look for; `is_prefix` finds every word that begins with it."""

    word: str
    is_prefix: bool = False


def index_terms(user_id: str, text: str) -> str:
    """What is stored for a text, each term once; empty when there is nothing to find."""
    words: dict[str, None] = {}
    for run, word, sign in _PIECES.findall(_fold(text[:MAX_INDEXED])):
        if word:
            words[_spell_word(word)] = None
        elif run:
            codes = [format(ord(char), "x") for char in run]
            words.update(dict.fromkeys("c" + code for code in codes))
            words.update(dict.fromkeys("c" + one + two for one, two in pairwise(codes)))
        else:
            words["s" + format(ord(sign), "x")] = None
    return " ".join([_owner(user_id), *words]) if words else ""


def query_terms(user_id: str, query: str) -> list[Term]:
    """What an entry must contain, all of it; empty when the query has nothing to look for."""
    found: dict[Term, None] = {}
    for run, word, sign in _PIECES.findall(_fold(query[:MAX_QUERY])):
        if word:
            found[Term(_spell_word(word), is_prefix=len(word) > 2)] = None
        elif run:
            codes = [format(ord(char), "x") for char in run]
            pairs = ["c" + one + two for one, two in pairwise(codes)]
            found.update(dict.fromkeys(map(Term, pairs or ["c" + codes[0]])))
        else:
            found[Term("s" + format(ord(sign), "x"))] = None
    return [Term(_owner(user_id)), *list(found)[:_MAX_QUERY_TERMS]] if found else []


def snippet(text: str, query: str, *, before: int = 30, length: int = 120) -> str:
    """The part of `text` around the first of the query's words that stands in it as written, else its beginning."""
    words = [run or word or sign for run, word, sign in _PIECES.findall(query[:MAX_QUERY])]
    words += [word[at : at + 2] for word in words if not word.isascii() for at in range(len(word) - 1)]
    for word in sorted(words, key=len, reverse=True):
        if match := re.search(re.escape(word), text, re.IGNORECASE):
            start = max(0, match.start() - before)
            break
    else:
        start = 0
    part = " ".join(text[start : start + length].split())
    return ("…" if start else "") + part + ("…" if start + length < len(text) else "")


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _owner(user_id: str) -> str:
    return "u" + "".join(char for char in user_id if char.isalnum())


def _spell_word(word: str) -> str:
    if not word.isascii():
        plain = (char for char in unicodedata.normalize("NFKD", word) if not unicodedata.combining(char))
        word = "".join(char if char.isascii() else f"x{ord(char):x}" for char in plain)
    return "ww" + word[:_MAX_WORD]
