"""What a user may spend."""
