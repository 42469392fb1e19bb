"""Exports, deletions and signing out."""
