"""Model vendors: one file each, found because it registers a `SPEC`."""
