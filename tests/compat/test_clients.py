"""The older pages and the phone client, as JavaScript on a real `fetch`: fifty long answers are shown whole by each."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.compat.replies import REPLIES, ROOM, give
from tests.compat.test_spark_mobile import member
from tests.node import node
from tests.servers import Site, Stand

LIMIT_S = 120
SCRIPT = Path(__file__).with_name("clients.mjs")


def nobody(site: Site) -> dict[str, Any]:
    return {}


def someone_on_doubaos_page(site: Site) -> dict[str, Any]:
    """Signed in, with a conversation a question: each has one answer at a time."""
    browser = site.client()
    browser.post("/register", data={"username": "ann", "password": "secret"})
    cookie = browser.get_cookie("parley_session")
    assert cookie is not None
    user = site.services.accounts.login("ann", "secret").identity.user_id
    sessions = [site.services.conversations.create(user).id for _ in range(REPLIES)]
    return {"cookie": f"parley_session={cookie.value}", "sessions": sessions}


def someone_with_a_phone(site: Site) -> dict[str, Any]:
    return {"pair": member(site.client())}


@pytest.fixture
def fast(site_env: dict[str, str]) -> Iterator[Stand]:
    stand = Stand({**site_env, **ROOM})
    yield stand
    stand.audit()
    stand.site.close()


@pytest.mark.parametrize(
    ("client", "who"),
    [
        ("chat_page", nobody),
        ("one_shot_page", nobody),
        ("newest_page", nobody),
        ("service_module", nobody),
        ("widget", nobody),
        ("doubao_page", someone_on_doubaos_page),
        ("phone", someone_with_a_phone),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_answer_is_shown_whole(fast: Stand, client: str, who: Callable[[Site], dict[str, Any]]) -> None:
    said = give(fast)
    address, context = fast.site.open(), who(fast.site)
    done = subprocess.run(
        [node(), SCRIPT, client, address, str(REPLIES), json.dumps(context)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert len(shown) == REPLIES
    for question, text in shown.items():
        assert text == said[question], question
