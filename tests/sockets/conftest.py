"""The server that `/voice` is tried on."""

from tests.servers import site_env, stand  # noqa: F401
