"""Participants and calls: who is there, what came from them, and what is to be done about it."""
