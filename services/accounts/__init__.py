"""People and what proves them."""
