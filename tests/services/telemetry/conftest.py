"""A server, for what it writes to its log."""

from tests.servers import site_env, stand  # noqa: F401
