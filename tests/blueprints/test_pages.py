"""The page's files: the right types, the strict policy, nothing from outside the folder."""

from __future__ import annotations

from pathlib import Path

import flask
import pytest
from flask.testing import FlaskClient

from blueprints import pages
from blueprints.headers import PAGE_POLICY
from tests.servers import Site


@pytest.fixture
def browser(tmp_path: Path) -> FlaskClient:
    """A folder of a page's kind, with something beside it that is nobody's business."""
    folder = tmp_path / "static"
    (folder / "js").mkdir(parents=True)
    (folder / "fonts").mkdir()
    (folder / "index.html").write_text("<!doctype html><title>Parley</title>")
    (folder / "js" / "main.js").write_text("export {};")
    (folder / "js" / "lib.mjs").write_text("export {};")
    (folder / "icon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (folder / "style.css").write_text("p{}")
    (folder / "fonts" / "a.woff2").write_bytes(b"wOF2")
    (tmp_path / ".env").write_text("SECRET=1")
    app = flask.Flask("page", static_folder=None)
    app.register_blueprint(pages.build(folder))
    return app.test_client()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/static/js/main.js", "text/javascript; charset=utf-8"),
        ("/static/js/lib.mjs", "text/javascript; charset=utf-8"),
        ("/static/style.css", "text/css; charset=utf-8"),
        ("/static/icon.svg", "image/svg+xml; charset=utf-8"),
        ("/static/fonts/a.woff2", "font/woff2"),
    ],
)
def test_a_file_has_its_type_and_is_sent_again_only_when_it_changed(browser: FlaskClient, path: str, kind: str) -> None:
    first = browser.get(path)
    assert (first.status_code, first.headers["Content-Type"]) == (200, kind)
    assert first.headers["Cache-Control"] == "no-cache"
    again = browser.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/static/../.env",
        "/static/..%2f.env",
        "/static/%2e%2e/.env",
        "/static//etc/passwd",
        "/static/js/../../.env",
        "/static/js",
        "/static/",
        "/static/..\\.env",
        "/static/nothing.js",
        "/static/a%00.js",
    ],
)
def test_nothing_outside_the_folder_is_served(browser: FlaskClient, path: str) -> None:
    answer = browser.get(path, follow_redirects=True)
    assert answer.status_code == 404
    assert b"SECRET" not in answer.data


def test_every_answer_carries_the_headers_that_protect(site: Site) -> None:
    """The page may load from here only; everything else may do nothing at all."""
    client = site.client()
    for path, policy in (
        ("/static/js/api.js", PAGE_POLICY),
        ("/v1/auth/me", None),
        ("/nothing", None),
        ("/metrics", None),
    ):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in headers
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        if policy is not None:
            assert headers["Content-Security-Policy"] == policy
        else:
            assert headers["Cache-Control"] == "no-store"
    assert PAGE_POLICY.count("'self'") == 6
    assert "unsafe" not in PAGE_POLICY
