"""The documents lead where they say, and the page and the server name events alike."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from sockets.events import CLIENT_EVENTS, SERVER_EVENTS, VOICE_SERVER_EVENTS

ROOT = Path(__file__).parent.parent
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#([^)\s]+))?\)")


def documents() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / name for name in listed.stdout.splitlines()]


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_within_the_project_leads_somewhere(document: Path) -> None:
    """Files exist, and headings they are entered at."""
    for target, heading in _LINK.findall(document.read_text("utf-8")):
        if "://" in target or target.startswith("mailto:"):
            continue
        path = (document.parent / target).resolve()
        assert path.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles]


@pytest.mark.parametrize(("name", "events"), [("CLIENT_EVENTS", CLIENT_EVENTS), ("SERVER_EVENTS", SERVER_EVENTS)])
def test_the_page_knows_every_event_by_the_servers_name(name: str, events: tuple[str, ...]) -> None:
    """The two lists are the same."""
    page = (ROOT / "static" / "js" / "event_names.js").read_text("utf-8")
    (block,) = re.findall(rf"{name} = [^\[]*\[(.*?)\]", page, re.DOTALL)
    assert set(re.findall(r'"(\w+)"', block)) == set(events)


def test_the_page_knows_what_voice_says_besides() -> None:
    """Nothing that only `/voice` says is missing, nothing is made up."""
    page = (ROOT / "static" / "js" / "event_names.js").read_text("utf-8")
    (block,) = re.findall(r"VOICE_EVENTS = [^\[]*\[(.*?)\]", page, re.DOTALL)
    known = set(re.findall(r'"(\w+)"', block))
    assert known <= set(VOICE_SERVER_EVENTS)
    assert set(VOICE_SERVER_EVENTS) - set(SERVER_EVENTS) <= known
