"""Which people and which layers a receiver gets of what its path bears. Its tunables for layers: tunables.py."""
