"""The tables, the engine and the unit of work. Knows nobody above it."""
