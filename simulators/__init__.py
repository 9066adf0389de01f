"""Loopback vendors with scripted faults, for tests and for trying the server without a key."""
