"""Copies of messages in other conversations."""
