"""`COMPAT`: what is served where, and what is refused at the start."""

from __future__ import annotations

from collections.abc import Callable

import flask
import pytest

from blueprints.compat import mounting
from blueprints.compat.backend import Backend, CompatBlueprint
from blueprints.compat.places import places
from blueprints.compat.wire import answer
from blueprints.identity import Callers
from blueprints.replies import Refusal
from blueprints.streaming import Streams
from config import ConfigError
from services.assembly import Services
from tests.servers import Site


def shop(name: str, path: str) -> Callable[[Services, Callers, Streams], CompatBlueprint]:
    """A backend with two routes that tell its name, and refusals in a shape of its own."""

    def build(services: Services, callers: Callers, streams: Streams) -> CompatBlueprint:
        def refuse(refused: Refusal) -> flask.Response:
            return answer({"refused by": name}, refused.status)

        blueprint = CompatBlueprint(name, services, refuse)
        blueprint.get(path)(lambda: name)

        @blueprint.post("/shared/here")
        def shared() -> str:
            return f"shared {name}"

        return blueprint

    return build


ANNS = Backend("anns", shop("anns", "/a"), prefix="/ann", health={"status": "fine", "a": 1})
BOBS = Backend(
    "bobs", shop("bobs", "/b"), gives_way={"anns": "/shared/"}, health={"status": "ok"}, territory=("/bob/",)
)
EVES = Backend("eves", shop("eves", "/a"))


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (["all"], {"the root": ["anns", "bobs"], "/ann": ["anns"]}),
        (["none"], {}),
        (["bobs"], {"the root": ["bobs"]}),
        (["all", "anns@off"], {"the root": ["bobs"]}),
        (["all", "anns@/x/y"], {"the root": ["bobs"], "/x/y": ["anns"]}),
        (["anns@:8000"], {"port 8000": ["anns"]}),
    ],
)
def test_a_backend_is_where_the_setting_says(written: list[str], found: dict[str, list[str]]) -> None:
    told = places([ANNS, BOBS], written)
    assert {str(place): [backend.name for backend in backends] for place, backends in told.items()} == found


@pytest.mark.parametrize("written", ["nobody", "anns@", "anns@x", "anns@/", "anns@:0", "anns@:65536", "anns@/a.b"])
def test_what_cannot_be_is_refused(written: str) -> None:
    with pytest.raises(ConfigError, match="COMPAT"):
        places([ANNS, BOBS], [written])


@pytest.fixture
def serve(
    site_env: dict[str, str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[..., Site]:
    def start(compat: str, *backends: Backend) -> Site:
        monkeypatch.setattr(mounting, "collect", lambda *_: backends)
        site = Site({**site_env, "COMPAT": compat}, [])
        request.addfinalizer(site.close)
        return site

    return start


def test_a_clash_is_refused_with_both_names(serve: Callable[..., Site]) -> None:
    with pytest.raises(ConfigError, match="COMPAT: anns at the root and eves at the root both claim GET /a"):
        serve("all", ANNS, Backend("eves", shop("eves", "/a"), gives_way={"anns": "/shared/"}))


def test_one_gives_way_only_where_the_other_is(serve: Callable[..., Site]) -> None:
    browser = serve("anns,bobs@/b", ANNS, BOBS).client()
    assert browser.post("/shared/here").text == "shared anns"
    assert browser.post("/b/shared/here").text == "shared bobs"
    browser = serve("all", ANNS, BOBS).client()
    assert browser.post("/shared/here").text == "shared anns"
    assert browser.post("/ann/shared/here").text == "shared anns"


def test_health_tells_of_all_that_are_there(serve: Callable[..., Site]) -> None:
    browser = serve("all", ANNS, BOBS).client()
    assert browser.get("/health").data == b'{"a":1,"status":"ok"}\n'
    assert browser.get("/ann/health").data == b'{"a":1,"status":"fine"}\n'
    assert browser.get("/health").headers["Access-Control-Allow-Origin"] == "*"


def test_what_is_missed_is_told_in_the_shape_of_its_place(serve: Callable[..., Site]) -> None:
    """A wrong method by its neighbours' shape, an unknown path by whose place it is; the rest is ours."""
    browser = serve("all", ANNS, BOBS).client()
    for method, path, status, told in (
        ("POST", "/a", 405, {"refused by": "anns"}),
        ("GET", "/shared/here", 405, {"refused by": "anns"}),
        ("GET", "/ann/nothing", 404, {"refused by": "anns"}),
        ("GET", "/bob/nothing", 404, {"refused by": "bobs"}),
    ):
        refused = browser.open(path, method=method)
        assert (refused.status_code, refused.get_json()) == (status, told), path
    assert set(browser.post("/a").headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert browser.get("/nothing").get_json()["error"]["code"] == "not_found"
    assert browser.post("/v1/turns/t_1").get_json()["error"]["code"] == "invalid_request"


def test_a_port_of_its_own_serves_nothing_else(serve: Callable[..., Site]) -> None:
    site = serve("anns@:8001,bobs@:8001,eves@:8002", ANNS, BOBS, EVES)
    assert site.client().get("/a").status_code == 404
    first, second = (site.others[port].test_client() for port in (8001, 8002))
    assert [client.get("/a").text for client in (first, second)] == ["anns", "eves"]
    assert (first.get("/b").text, second.get("/b").status_code) == ("bobs", 404)
    assert first.get("/v1/models").status_code == 404
    assert second.get("/nothing").get_json() == {"refused by": "eves"}


def test_our_own_rules_about_pages_are_not_theirs(serve: Callable[..., Site]) -> None:
    """Another site's page may ask an older backend, not us; it never gets to use its visitor's cookies."""
    browser = serve("all", ANNS, BOBS).client()
    page = {"Origin": "https://shop.example"}
    answered = browser.post("/shared/here", headers=page)
    assert (answered.status_code, "Access-Control-Allow-Credentials" in answered.headers) == (200, False)
    assert browser.post("/v1/conversations", json={}, headers=page).status_code == 403
