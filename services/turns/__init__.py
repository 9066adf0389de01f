"""One file a kind of turn; the only place where the packages meet."""
