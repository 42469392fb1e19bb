"""Idle devices on one gateway: what they cost in memory and CPU, and how soon all are there, and there again."""
