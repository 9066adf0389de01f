"""Whole stories over real sockets, against `server.py` as a process of its own."""
