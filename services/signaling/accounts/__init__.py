"""Accounts: what is kept of a person, deletions, exports, and devices that are signed out."""
