"""Brings people and their conversations over from older backends; doing it again changes nothing."""
