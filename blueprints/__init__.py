"""The HTTP edge: one file a group of routes, each a translation of what `services/` offers."""
