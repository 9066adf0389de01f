"""What goes wrong in a simulated call, as a test writes it or as a prompt asks for it."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any

PIECES = 24

_DIRECTIVE = re.compile(r"\[\[fault ([^\]]*)\]\]")


@dataclass(frozen=True, slots=True)
class Fault:
    """One call's script. In a prompt: `[[fault status=429 retry-after=1 times=2]]`.

    Everything `*_after` counts pieces; 0 is before the first one.

    Attributes:
        times: The directive holds for so many calls with the same prompt; 0 for all.
        status: Answer with this HTTP status in place of a stream; `code` goes into the body, `html` makes it a page.
        reset_after: End with a TCP reset.
        end_after: End cleanly, without a finish reason.
        cut_after: Close the connection without ending the body.
        error_after: Report an error inside the stream, as the dialect does.
        silent_after: Say no more, keep the connection open.
        silent: Accept the request and never answer.
        comments_s: Send keep-alive comments for so long before the first piece.
        split: Send the body in segments of so many bytes.
        crlf, bom, no_blank, no_done: Other ways to write the same stream.
        unchunked: No chunks and no length: the end of the connection ends the body.
        length: Announce a `Content-Length` that is wrong by so much.
        gzip: Say that the body is compressed.
        usage: `none`, `negative`, `huge`, `text`, `zero`, `all`, `twice`.
        null_choices: The usage frame has `choices: null`.
        cumulative: Every piece repeats all that came before it.
        twice: The final frame comes twice, text follows it.
        bad_utf8: A byte in the middle is no UTF-8.
        bad_json_after: A frame is cut within its JSON.
        line_bytes: A line of so many bytes comes first.
        flood: Never end.
        linger: Keep the connection open behind the last frame.
        refusal: Answer in `delta.refusal`.
        finish: The finish reason.
        plain: Answer as one JSON body although a stream was asked for.
        pieces, rate: How many pieces, how many a second (0: at once).
    """

    times: int = 0
    status: int = 0
    code: str = ""
    html: bool = False
    retry_after: str = ""
    reset_after: int | None = None
    end_after: int | None = None
    cut_after: int | None = None
    error_after: int | None = None
    silent_after: int | None = None
    silent: bool = False
    comments_s: float = 0.0
    split: int = 0
    crlf: bool = False
    bom: bool = False
    no_blank: bool = False
    no_done: bool = False
    unchunked: bool = False
    length: int | None = None
    gzip: bool = False
    usage: str = ""
    null_choices: bool = False
    cumulative: bool = False
    twice: bool = False
    bad_utf8: bool = False
    bad_json_after: int | None = None
    line_bytes: int = 0
    flood: bool = False
    linger: bool = False
    refusal: bool = False
    finish: str = "stop"
    plain: bool = False
    pieces: int = PIECES
    rate: float = 0.0


def read_directive(text: str, kind: type[Fault] = Fault) -> Fault:
    """The fault a prompt asks for, of the kind its vendor knows.

    Raises:
        ValueError: The directive has a word that means nothing.
    """
    match = _DIRECTIVE.search(text)
    if match is None:
        return kind()
    known = {field.name: field for field in fields(kind)}
    values: dict[str, Any] = {}
    for word in match.group(1).split():
        name, equals, value = word.partition("=")
        field = known.get(name.replace("-", "_"))
        if field is None:
            raise ValueError(f"unknown fault {name!r}")
        values[field.name] = _value(str(field.type), value) if equals else True
    return kind(**values)


def without_directive(text: str) -> str:
    """The prompt as a model would see it."""
    return _DIRECTIVE.sub("", text).strip()


def _value(kind: str, text: str) -> Any:
    if kind.startswith("int"):
        return int(text)
    if kind == "float":
        return float(text)
    if kind == "bool":
        return text not in ("0", "false", "no")
    return text
