"""Asking the hook, and keeping what it holds."""
