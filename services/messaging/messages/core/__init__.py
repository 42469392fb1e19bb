"""How messages get their numbers, and what may happen to them afterwards."""
