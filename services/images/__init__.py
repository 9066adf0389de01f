"""Sentences to pictures: the contract, and one file for each who draws."""
