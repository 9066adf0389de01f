"""The machine-readable contracts, built from one set of shapes; tests hold them against the running server."""
