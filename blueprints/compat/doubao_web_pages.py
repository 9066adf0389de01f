"""doubao-web's three pages: our templates, or an operator's own, each under a policy of what it may load."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from secrets import token_urlsafe
from types import SimpleNamespace
from typing import Any

import flask
import jinja2
from flask import request

from blueprints.replies import reads_chinese
from config import ConfigError

PAGES = ("login.html", "register.html", "chat.html")
OURS = Path(__file__).with_name("templates")
NOTICE_COOKIE = "doubao_notice"

_NOTICES = {
    "login": ("Please log in to access this page.", "请先登录。"),
    "wrong": ("The user name and the password do not fit together.", "用户名或密码错误。"),
    "taken": ("This user name is taken.", "用户名已存在。"),
    "name": ("A user name has 1 to 80 visible characters.", "用户名应为 1 到 80 个看得见的字符。"),
    "password": ("A password has 6 to 256 characters.", "密码应为 6 到 256 个字符。"),
    "often": ("Too often; wait a moment.", "操作太频繁，请稍候再试。"),
    "busy": ("The server is busy; try again in a moment.", "服务器繁忙，请稍候再试。"),
}
"""What the pages can be told; the cookie carries the key, so nobody can put words into it."""
_LOADED = re.compile(r"""<(script|link)\b[^>]*?\b(?:src|href)\s*=\s*["'](https://[^"'\s;,?#]+)""", re.IGNORECASE)
_BASE = "default-src 'none'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; "
_BASE += "form-action 'self'; frame-ancestors 'none'; "


class Pages:
    """Renders the pages with the context the original templates expect."""

    def __init__(self, folder: str) -> None:
        """`folder` holds an operator's own templates; empty for ours.

        Raises:
            ConfigError: One of the three is missing.
        """
        self._ours = not folder
        where = Path(folder).expanduser() if folder else OURS
        if missing := [name for name in PAGES if not (where / name).is_file()]:
            raise ConfigError(
                f"DOUBAO_TEMPLATES must name a folder with {', '.join(PAGES)}; {missing[0]} is not in {folder!r}.",
                f"DOUBAO_TEMPLATES 应指向含有 {'、'.join(PAGES)} 的目录；{folder!r} 中没有 {missing[0]}。",
            )
        self._templates = jinja2.Environment(loader=jinja2.FileSystemLoader(where), autoescape=True)
        self._libraries = {name: _libraries((where / name).read_text("utf-8")) for name in PAGES}

    def page(self, name: str, status: int = 200, *, notice: str = "", **context: Any) -> flask.Response:
        """A page; a notice kept for it by `with_notice` is shown once.

        Args:
            notice: One to show now.
        """
        kept = notice or request.cookies.get(NOTICE_COOKIE, "")
        messages = [_said(kept)] if kept in _NOTICES else []
        nonce = token_urlsafe(16)
        html = self._templates.get_template(name).render(
            url_for=_url_for,
            get_flashed_messages=lambda with_categories=False, category_filter=(): (
                [("message", text) for text in messages] if with_categories else messages
            ),
            request=request,
            nonce=nonce,
            chinese=reads_chinese(),
            **context,
        )
        response = flask.Response(html, status, content_type="text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = self._policy(name, nonce)
        # Under `no-referrer`, which the rest of the server says, a browser sends the forms with `Origin: null`.
        response.headers["Referrer-Policy"] = "same-origin"
        if NOTICE_COOKIE in request.cookies:
            response.delete_cookie(NOTICE_COOKIE, path="/", httponly=True, samesite="Lax")
        return response

    def _policy(self, name: str, nonce: str) -> str:
        if self._ours:
            return f"{_BASE}script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'"
        scripts, styles = self._libraries[name]
        inline = "'self' 'unsafe-inline'"
        return f"{_BASE}script-src {' '.join([inline, *scripts])}; style-src {' '.join([inline, *styles])}"


def with_notice(response: flask.Response, notice: str) -> flask.Response:
    """Keep a notice for the page that comes next."""
    response.set_cookie(NOTICE_COOKIE, notice, max_age=60, path="/", httponly=True, samesite="Lax")
    return response


def visitor(user_id: str, name: str) -> SimpleNamespace:
    """`current_user`, as the templates know it."""
    return SimpleNamespace(id=user_id, username=name, is_authenticated=True)


def _said(notice: str) -> str:
    english, chinese = _NOTICES[notice]
    return chinese if reads_chinese() else english


def _url_for(endpoint: str, **values: Any) -> str:
    """Flask's, for endpoints without a blueprint's name: at the same place as this page."""
    return flask.url_for(endpoint if "." in endpoint else f".{endpoint}", **values)


def _libraries(template: str) -> tuple[list[str], list[str]]:
    """What a template loads from elsewhere: scripts, styles. Read off the file, so nothing a user wrote is in it."""
    found: Mapping[str, list[str]] = {"script": [], "link": []}
    for tag, address in _LOADED.findall(template):
        found[tag.lower()].append(address)
    return found["script"], found["link"]
