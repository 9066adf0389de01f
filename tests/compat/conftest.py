"""A server around a scripted model, for every file here."""

from tests.servers import either_stand, site, site_env, stand  # noqa: F401
