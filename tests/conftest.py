"""Fixtures of every test. The first lines patch the standard library, as `server.py` does."""

# ruff: noqa: E402
from gevent import monkey

monkey.patch_all()
