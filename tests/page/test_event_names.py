"""The page listens to `/voice` and `/picture` by the server's names."""

from __future__ import annotations

import re

import pytest

from sockets.events import VOICE_SERVER_EVENTS
from sockets.picture_events import PICTURE_SERVER_EVENTS
from tests.processes import ROOT

NOTES = {"conversation_changed", "quota_changed"}
"""They come on every namespace; the page hears them on `/text`."""


@pytest.mark.parametrize(
    ("name", "events"), [("VOICE_EVENTS", VOICE_SERVER_EVENTS), ("PICTURE_EVENTS", PICTURE_SERVER_EVENTS)]
)
def test_the_page_hears_everything_that_is_said(name: str, events: tuple[str, ...]) -> None:
    page = (ROOT / "static" / "js" / "event_names.js").read_text("utf-8")
    (block,) = re.findall(rf"const {name} = [^\[]*\[(.*?)\]", page, re.DOTALL)
    assert set(re.findall(r'"(\w+)"', block)) == set(events) - NOTES
