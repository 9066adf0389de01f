"""Older backends, served to their clients unchanged: each file with a `SPEC` is one; see docs/compat/."""
