"""Text becomes speech: the contract, and one file for each vendor."""
