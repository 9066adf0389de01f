"""The life of a turn: its log, its runner, its viewers. Knows no vendor, no quota and no socket."""
