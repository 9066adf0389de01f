"""The page and its files, from `static/` and nowhere else."""

from __future__ import annotations

from pathlib import Path

import flask

from blueprints.headers import PAGE_POLICY

STATIC = Path(__file__).resolve().parent.parent / "static"

_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".json": "application/json",
    ".map": "application/json",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain",
}
"""Written down here, as the machine's own table differs from one to the next and `nosniff` makes a wrong one fatal."""


def build(folder: Path = STATIC) -> flask.Blueprint:
    """The routes."""
    blueprint = flask.Blueprint("pages", __name__)

    @blueprint.get("/")
    def index() -> flask.Response:
        return _file(folder, "index.html")

    @blueprint.get("/static/<path:name>")
    def static_file(name: str) -> flask.Response:
        return _file(folder, name)

    return blueprint


def _file(folder: Path, name: str) -> flask.Response:
    """One file, asked for again at every use and sent again only when it has changed.

    Raises:
        NotFound: Werkzeug's: no such file, or a way out of the folder.
    """
    kind = _TYPES.get(Path(name).suffix.lower(), "application/octet-stream")
    response = flask.send_from_directory(folder, name, mimetype=kind, conditional=True, etag=True)
    response.headers["Cache-Control"] = "no-cache"
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response
