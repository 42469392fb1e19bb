"""Conversations: opening them, who is in, how each person keeps them, and letting them in."""
