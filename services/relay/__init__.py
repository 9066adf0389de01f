"""The life of a turn: its log, its runner, its viewers."""
