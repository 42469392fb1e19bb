"""Sync tokens, pages of an account, and what a device is told of one conversation."""
