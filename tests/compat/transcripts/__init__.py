"""What was said to each older backend, and what it must answer: to the byte, from its contract.

A case is a line `=== name`, what the model does (`answers:` its pieces between bars, `fails:` the error after them),
the request, `---`, and the answer: its status, the headers that count (`-` for none) and the body. In a body a line
end is written ⏎; `<turn>`, `<uuid>`, `<picture>` and the like stand for what differs each time. In a request `«name»`
is what the test knows by that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

_PLACEHOLDERS = {
    "<turn>": r"t_[0-9a-z]{29}",
    "<uuid>": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "<picture>": r"data:image/(png|jpeg);base64,[A-Za-z0-9+/]{200,}=*",
    "<number>": r"[0-9]+(\.[0-9]+)?",
    "<page>": r"<!doctype html>[\s\S]*",
    "<user>": r"u_[0-9a-z]{29}",
    "<conversation>": r"c_[0-9a-z]{29}",
    "<32 letters>": r"[0-9a-f]{32}",
    "<minute>": r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}",
    "<time>": r"[0-9]{2}:[0-9]{2}",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One exchange.

    Attributes:
        pieces: What the model says; None where it must not be asked.
        error: Name of the error class it then fails with; empty for a good end.
    """

    name: str
    pieces: tuple[str, ...] | None
    error: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int
    answer_headers: dict[str, str]
    answer: re.Pattern[str]

    def filled(self, known: Mapping[str, str]) -> Case:
        """With what is known in the place of its names."""

        def fill(text: str) -> str:
            return re.sub("«(.*?)»", lambda name: known[name[1]], text)

        headers = {name: fill(value) for name, value in self.headers.items()}
        return replace(self, path=fill(self.path), headers=headers, body=fill(self.body.decode()).encode())


def cases(name: str) -> Iterator[Case]:
    """The cases of one backend."""
    text = Path(__file__).with_name(f"{name}.txt").read_text("utf-8")
    for block in text.split("=== ")[1:]:
        title, _, rest = block.partition("\n")
        asked, _, answered = rest.partition("\n---\n") if "\n---\n" in rest else ("", "", rest)
        yield _case(title, asked, answered)


def _case(title: str, asked: str, answered: str) -> Case:
    pieces, error = None, ""
    while (match := re.match(r"(answers|fails):[ ]?(.*)\n", asked)) is not None:
        if match[1] == "answers":
            pieces = tuple(filter(None, match[2].split("|")))
        else:
            pieces, error = pieces or (), match[2]
        asked = asked[match.end() :]
    (request_line, *headers), body = _head(asked)
    (status, *answer_headers), answer = _head(answered)
    method, path = request_line.split(" ")
    exact = re.escape(answer.replace("\n", "").replace("⏎", "\n"))
    for placeholder, pattern in _PLACEHOLDERS.items():
        exact = exact.replace(re.escape(placeholder), pattern)
    return Case(
        title, pieces, error, method, path, _fields(headers), body.encode(), int(status), _fields(answer_headers),
        re.compile(exact),
    )  # fmt: skip


def _head(text: str) -> tuple[list[str], str]:
    head, _, body = text.partition("\n\n")
    return head.strip("\n").split("\n"), body.removesuffix("\n")


def _fields(lines: list[str]) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in lines)
