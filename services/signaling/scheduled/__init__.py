"""Scheduled calls: planned in a conversation, opened at their time, over by themselves."""
