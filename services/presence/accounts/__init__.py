"""Accounts: what is kept of a person, deletions and exports."""
