"""Pictures to text: the contract, and one file for each who reads."""
