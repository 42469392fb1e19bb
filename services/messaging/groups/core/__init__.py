"""Decisions about groups: who may do what, and what it changes."""
