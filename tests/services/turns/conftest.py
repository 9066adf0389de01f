"""Turns are tried on a stage: real services and a real database around a scripted vendor."""

from tests.scripted import stage  # noqa: F401
