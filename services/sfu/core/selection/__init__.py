"""Which people and which layers a receiver gets of what its path bears."""
